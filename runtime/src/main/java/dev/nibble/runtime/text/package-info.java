/// Tokenizers and text encoders.
@NullMarked
package dev.nibble.runtime.text;

import org.jspecify.annotations.NullMarked;
