/// Qwen3 as a text encoder (technical report arXiv:2505.09388).
@NullMarked
package dev.nibble.runtime.text.qwen3;

import org.jspecify.annotations.NullMarked;
