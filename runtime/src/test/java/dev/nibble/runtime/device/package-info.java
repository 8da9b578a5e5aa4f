@NullMarked
package dev.nibble.runtime.device;

import org.jspecify.annotations.NullMarked;
