/// The command line: options in, reports out. No algorithm lives here.
@NullMarked
package dev.nibble.tools;

import org.jspecify.annotations.NullMarked;
