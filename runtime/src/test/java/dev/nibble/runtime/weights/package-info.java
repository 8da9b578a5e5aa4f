@NullMarked
package dev.nibble.runtime.weights;

import org.jspecify.annotations.NullMarked;
