package dev.nibble.runtime.cache;

/// What a rule needs to know of a run before it begins.
///
/// @param steps denoising steps
/// @param separateGuidance whether each guided step calls the transformer twice, once a {@link
///   GuidanceBranch}, rather than once for a batch
public record CachePlan(int steps, boolean separateGuidance) {}
