/// The block types of ggml, which GGUF files hold, and a codec for each.
@NullMarked
package dev.nibble.formats.quant.ggml;

import org.jspecify.annotations.NullMarked;
