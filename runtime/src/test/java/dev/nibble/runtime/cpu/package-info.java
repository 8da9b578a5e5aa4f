/// The processor's operations against their definition.
@NullMarked
package dev.nibble.runtime.cpu;

import org.jspecify.annotations.NullMarked;
