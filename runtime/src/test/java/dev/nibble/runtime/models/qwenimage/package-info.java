@NullMarked
package dev.nibble.runtime.models.qwenimage;

import org.jspecify.annotations.NullMarked;
