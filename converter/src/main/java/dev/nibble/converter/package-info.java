/// Conversions of checkpoints: {@link dev.nibble.converter.Converter} plans and runs them.
@NullMarked
package dev.nibble.converter;

import org.jspecify.annotations.NullMarked;
