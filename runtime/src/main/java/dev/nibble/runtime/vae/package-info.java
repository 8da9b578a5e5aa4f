/// Autoencoders between latents and pictures.
@NullMarked
package dev.nibble.runtime.vae;

import org.jspecify.annotations.NullMarked;
