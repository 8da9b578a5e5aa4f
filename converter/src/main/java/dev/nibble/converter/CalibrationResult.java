package dev.nibble.converter;

import java.util.OptionalDouble;

/// What calibration has done for the output of a layer: norms of the output's error over the norm
/// of the output, for the inputs that the statistics hold a sample of; empty where they hold none.
///
/// @param nearest error of the same scheme with every value rounded to nearest
/// @param calibrated error of the weight as it was written
/// @param damping of the Hessian, as a part of its diagonal's mean; 0 where GPTQ had no part
public record CalibrationResult(
    OptionalDouble nearest, OptionalDouble calibrated, double damping) {}
