/// Arithmetic over blocks of floats with the Vector API, each with its scalar twin as oracle.
@NullMarked
package dev.nibble.formats.internal.simd;

import org.jspecify.annotations.NullMarked;
