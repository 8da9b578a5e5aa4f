/// The vector kernels against their scalar twins, and the processor's limits.
@NullMarked
package dev.nibble.runtime.cpu.simd;

import org.jspecify.annotations.NullMarked;
