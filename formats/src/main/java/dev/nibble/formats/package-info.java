/// Checkpoints: tensors by name in files, mapped and never copied. See {@link
/// dev.nibble.formats.Checkpoint}.
@NullMarked
package dev.nibble.formats;

import org.jspecify.annotations.NullMarked;
