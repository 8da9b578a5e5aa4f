package dev.nibble.runtime.models.zimage;

import dev.nibble.runtime.models.Denoiser.Conditioning;
import dev.nibble.runtime.tensor.Tensor;

/// What stays the same for all steps of a request.
///
/// @param batch captions
/// @param height of the picture in tokens
/// @param width of the picture in tokens
/// @param captions refined caption tokens, `[B, Tcaption, dim]`
/// @param image positions of the picture's tokens and their padding
/// @param joint positions of picture and caption
record ZImageConditioning(
    int batch, int height, int width, Tensor captions, Sequence image, Sequence joint)
    implements Conditioning {}
