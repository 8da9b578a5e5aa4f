package dev.nibble.runtime.cache;

import java.util.OptionalDouble;

/// What a rule decided at one call of the transformer.
///
/// @param step index of the step, from 0
/// @param branch side of guidance
/// @param computed false where blocks were skipped
/// @param difference the number compared with the threshold, where one was: relative L1 difference
///   of residuals, accumulated distance or error, as the rule says
public record StepDecision(
    int step, GuidanceBranch branch, boolean computed, OptionalDouble difference) {}
