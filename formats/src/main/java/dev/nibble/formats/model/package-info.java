/// Model families: which tensors of a checkpoint are linear layers, by their names.
@NullMarked
package dev.nibble.formats.model;

import org.jspecify.annotations.NullMarked;
