/// The inner loops of the processor's operations, in scalar code and with the Vector API.
@NullMarked
package dev.nibble.runtime.cpu.simd;

import org.jspecify.annotations.NullMarked;
