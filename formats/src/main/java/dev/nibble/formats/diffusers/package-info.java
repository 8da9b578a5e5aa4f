/// Model directories and configuration files as diffusers and transformers read them.
@NullMarked
package dev.nibble.formats.diffusers;

import org.jspecify.annotations.NullMarked;
