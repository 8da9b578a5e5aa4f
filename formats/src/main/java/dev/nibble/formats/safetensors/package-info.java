/// The safetensors format: header, reader, shards, writer.
@NullMarked
package dev.nibble.formats.safetensors;

import org.jspecify.annotations.NullMarked;
