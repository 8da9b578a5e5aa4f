package dev.nibble.converter;

import dev.nibble.formats.quant.QuantScheme;

/// A scheme for the weights whose module path a pattern matches; of several rules the last match
/// wins.
///
/// @param pattern a pattern as {@link SkipRules} reads it; `*` matches every path
public record SchemeRule(String pattern, QuantScheme scheme) {}
