/// How quantized weights are named and typed on disk, for each tool that opens them.
@NullMarked
package dev.nibble.formats.quant.storage;

import org.jspecify.annotations.NullMarked;
