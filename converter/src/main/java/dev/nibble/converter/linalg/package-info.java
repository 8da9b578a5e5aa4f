/// The little linear algebra that calibration needs.
@NullMarked
package dev.nibble.converter.linalg;

import org.jspecify.annotations.NullMarked;
