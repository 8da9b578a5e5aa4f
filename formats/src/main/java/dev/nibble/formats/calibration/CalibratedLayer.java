package dev.nibble.formats.calibration;

/// A linear layer as statistics name it.
///
/// @param input name of the {@link InputStatistics} that it takes: the module path of the first
///   layer that takes it
/// @param out features of its output
/// @param in features of its input
public record CalibratedLayer(String input, int out, int in) {}
