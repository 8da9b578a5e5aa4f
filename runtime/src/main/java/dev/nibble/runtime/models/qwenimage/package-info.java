/// Qwen-Image: a stream of picture tokens and one of text tokens that meet in attention
/// (arXiv:2508.02324; diffusers' `QwenImageTransformer2DModel`).
@NullMarked
package dev.nibble.runtime.models.qwenimage;

import org.jspecify.annotations.NullMarked;
