/// The bounded pipeline that runs a plan.
@NullMarked
package dev.nibble.converter.internal;

import org.jspecify.annotations.NullMarked;
