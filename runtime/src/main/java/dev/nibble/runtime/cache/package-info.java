/// Step caches: which blocks of which steps are computed, and what stands in for the others.
@NullMarked
package dev.nibble.runtime.cache;

import org.jspecify.annotations.NullMarked;
