package dev.nibble.runtime.calibration;

/// What was recorded, in numbers.
///
/// @param inputs different inputs
/// @param layers that take them
/// @param rows of all inputs together
/// @param passes over all prompts
public record StatisticsSummary(int inputs, int layers, long rows, int passes) {}
