/// Tensors, the operations on them, and the backends that carry both.
@NullMarked
package dev.nibble.runtime.tensor;

import org.jspecify.annotations.NullMarked;
