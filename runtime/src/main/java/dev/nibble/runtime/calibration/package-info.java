/// Records what a model's linear layers are given while it draws.
///
/// The layers do not know: {@link dev.nibble.runtime.calibration.CalibrationRecorder} stands
/// between a model and its backend, learns the layers' names as their weights are loaded, and looks
/// at the input of each product.
@NullMarked
package dev.nibble.runtime.calibration;

import org.jspecify.annotations.NullMarked;
