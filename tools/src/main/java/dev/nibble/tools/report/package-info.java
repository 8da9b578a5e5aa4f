/// What the commands print and write: tables, JSON, and the HTML page.
@NullMarked
package dev.nibble.tools.report;

import org.jspecify.annotations.NullMarked;
