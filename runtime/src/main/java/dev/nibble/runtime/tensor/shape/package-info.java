/// What backends share: the checks of operands, shapes of results, and walks over shapes.
@NullMarked
package dev.nibble.runtime.tensor.shape;

import org.jspecify.annotations.NullMarked;
