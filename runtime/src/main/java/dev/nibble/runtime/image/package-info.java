/// Pictures: files, measures, contact sheets.
@NullMarked
package dev.nibble.runtime.image;

import org.jspecify.annotations.NullMarked;
