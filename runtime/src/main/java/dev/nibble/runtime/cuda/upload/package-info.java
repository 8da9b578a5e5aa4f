/// From mapped checkpoints to device memory at the speed of the bus.
@NullMarked
package dev.nibble.runtime.cuda.upload;

import org.jspecify.annotations.NullMarked;
