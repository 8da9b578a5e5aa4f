/// Files: output that appears whole under its name or not at all, configuration, errors that name
/// the file.
@NullMarked
package dev.nibble.formats.io;

import org.jspecify.annotations.NullMarked;
