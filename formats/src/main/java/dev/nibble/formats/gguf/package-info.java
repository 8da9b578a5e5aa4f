/// GGUF files: header, checkpoint, writer.
@NullMarked
package dev.nibble.formats.gguf;

import org.jspecify.annotations.NullMarked;
