@NullMarked
package dev.nibble.runtime.models;

import org.jspecify.annotations.NullMarked;
