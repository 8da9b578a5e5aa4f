/// Z-Image: one stream of picture and caption tokens (arXiv:2511.22699; diffusers'
/// `ZImageTransformer2DModel`).
@NullMarked
package dev.nibble.runtime.models.zimage;

import org.jspecify.annotations.NullMarked;
