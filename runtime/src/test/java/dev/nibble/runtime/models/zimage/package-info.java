@NullMarked
package dev.nibble.runtime.models.zimage;

import org.jspecify.annotations.NullMarked;
