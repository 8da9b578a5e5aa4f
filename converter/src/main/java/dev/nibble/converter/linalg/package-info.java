/// Dense linear algebra in float32, as much of it as quantization needs.
@NullMarked
package dev.nibble.converter.linalg;

import org.jspecify.annotations.NullMarked;
