/// What every backend's operations must do.
@NullMarked
package dev.nibble.runtime.tensor;

import org.jspecify.annotations.NullMarked;
