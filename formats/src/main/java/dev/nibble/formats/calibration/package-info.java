/// What a model's linear layers saw while it ran: recorded by the runtime, read by the converter.
@NullMarked
package dev.nibble.formats.calibration;

import org.jspecify.annotations.NullMarked;
