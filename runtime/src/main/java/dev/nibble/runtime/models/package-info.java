/// Denoising transformers as samplers and step caches see them.
@NullMarked
package dev.nibble.runtime.models;

import org.jspecify.annotations.NullMarked;
