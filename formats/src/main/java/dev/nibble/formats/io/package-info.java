/// Output that appears whole under its name, or not at all.
@NullMarked
package dev.nibble.formats.io;

import org.jspecify.annotations.NullMarked;
