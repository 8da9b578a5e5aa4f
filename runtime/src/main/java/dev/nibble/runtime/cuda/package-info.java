/// The CUDA backend: computes what {@link dev.nibble.runtime.tensor.Ops} says on an NVIDIA GPU.
@NullMarked
package dev.nibble.runtime.cuda;

import org.jspecify.annotations.NullMarked;
