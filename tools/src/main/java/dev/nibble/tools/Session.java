package dev.nibble.tools;

import dev.nibble.tools.report.Style;
import java.io.Console;
import java.io.PrintStream;
import java.util.Optional;

/// What a command sees of the world outside: where it prints, and the wish to stop.
///
/// @param out results, and nothing else
/// @param err everything else
/// @param outTerminal whether a person reads `out` on a terminal
/// @param errTerminal whether a person reads `err` on a terminal
/// @param colour whether a terminal may be sent colours
/// @param interruption begun when the process is asked to end
record Session(
    PrintStream out,
    PrintStream err,
    boolean outTerminal,
    boolean errTerminal,
    boolean colour,
    Interruption interruption) {

  /// A session off any terminal.
  static Session plain(PrintStream out, PrintStream err) {
    return new Session(out, err, false, false, false, new Interruption());
  }

  /// The session of this process. The launcher says in the property `nibble.terminal` which streams
  /// are terminals (`1`, `2`, `12` or nothing); without it Java's own, coarser answer is used.
  static Session ofProcess(PrintStream out) {
    String terminal = System.getProperty("nibble.terminal");
    if (terminal == null) {
      boolean interactive =
          Optional.ofNullable(System.console()).map(Console::isTerminal).orElse(false);
      terminal = interactive ? "12" : "";
    }
    boolean colour =
        System.getenv().getOrDefault("NO_COLOR", "").isEmpty()
            && !System.getenv().getOrDefault("TERM", "dumb").equals("dumb");
    return new Session(
        out,
        System.err,
        terminal.contains("1"),
        terminal.contains("2"),
        colour,
        new Interruption());
  }

  Style outStyle() {
    return new Style(outTerminal && colour);
  }

  Style errStyle() {
    return new Style(errTerminal && colour);
  }
}
