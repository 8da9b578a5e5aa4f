/// The inner loop of matrix products with the Vector API, with its scalar twin as oracle.
@NullMarked
package dev.nibble.converter.linalg.simd;

import org.jspecify.annotations.NullMarked;
