/// Quantization schemes: what the numbers of a quantized weight mean, and the codecs that make and
/// read them.
@NullMarked
package dev.nibble.formats.quant;

import org.jspecify.annotations.NullMarked;
