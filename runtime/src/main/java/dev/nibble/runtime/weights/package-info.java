/// Parameters of a model from its checkpoint.
@NullMarked
package dev.nibble.runtime.weights;

import org.jspecify.annotations.NullMarked;
