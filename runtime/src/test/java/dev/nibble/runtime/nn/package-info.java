@NullMarked
package dev.nibble.runtime.nn;

import org.jspecify.annotations.NullMarked;
