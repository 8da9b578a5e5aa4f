@NullMarked
package dev.nibble.runtime.bench;

import org.jspecify.annotations.NullMarked;
