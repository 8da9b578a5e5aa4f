/// Text-to-image pipelines on quantized checkpoints.
@NullMarked
package dev.nibble.runtime;

import org.jspecify.annotations.NullMarked;
