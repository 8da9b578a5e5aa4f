/// Export of {@link dev.nibble.formats.quant.SvdQuant} weights for nunchaku's 4-bit kernels.
@NullMarked
package dev.nibble.formats.nunchaku;

import org.jspecify.annotations.NullMarked;
