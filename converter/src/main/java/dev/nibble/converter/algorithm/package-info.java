/// Algorithms that quantize a weight by what its layer's input was like.
@NullMarked
package dev.nibble.converter.algorithm;

import org.jspecify.annotations.NullMarked;
