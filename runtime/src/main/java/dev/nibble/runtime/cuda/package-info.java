/// The CUDA backend: the operations of {@link dev.nibble.runtime.tensor.Ops} on an NVIDIA GPU.
@NullMarked
package dev.nibble.runtime.cuda;

import org.jspecify.annotations.NullMarked;
