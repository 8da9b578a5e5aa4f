/// Helpers for the packages of this module; no API.
@NullMarked
package dev.nibble.formats.internal;

import org.jspecify.annotations.NullMarked;
