/// Memory of accelerators: who owns it, how much of it there may be, and what is said when it runs
/// out. Knows no driver.
@NullMarked
package dev.nibble.runtime.device;

import org.jspecify.annotations.NullMarked;
