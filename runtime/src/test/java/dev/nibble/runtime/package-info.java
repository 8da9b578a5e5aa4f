@NullMarked
package dev.nibble.runtime;

import org.jspecify.annotations.NullMarked;
