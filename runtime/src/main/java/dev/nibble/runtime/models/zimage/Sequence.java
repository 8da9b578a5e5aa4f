package dev.nibble.runtime.models.zimage;

import dev.nibble.runtime.tensor.AttentionOptions;
import dev.nibble.runtime.tensor.RopeTable;

/// Where the tokens of a batch stand, and which see each other.
///
/// @param rope angles of each token
/// @param options hide what only makes the captions of a batch equally long
record Sequence(RopeTable rope, AttentionOptions options) {}
