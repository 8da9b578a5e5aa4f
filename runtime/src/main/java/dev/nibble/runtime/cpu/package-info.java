/// The backend that runs everywhere, and the oracle of the others.
@NullMarked
package dev.nibble.runtime.cpu;

import org.jspecify.annotations.NullMarked;
