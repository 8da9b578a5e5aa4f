/// Noise schedules and seeded noise.
@NullMarked
package dev.nibble.runtime.schedule;

import org.jspecify.annotations.NullMarked;
