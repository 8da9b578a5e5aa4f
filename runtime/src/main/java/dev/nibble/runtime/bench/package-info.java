/// What this machine's GPU does with the operations and models of nibble, beside what it could do.
@NullMarked
package dev.nibble.runtime.bench;

import org.jspecify.annotations.NullMarked;
