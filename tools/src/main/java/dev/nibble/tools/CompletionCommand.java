package dev.nibble.tools;

import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/// Prints the completion script.
@Command(
    name = "completion",
    description = "Prints the shell completion for bash and zsh.",
    mixinStandardHelpOptions = true,
    versionProvider = ToolVersion.class,
    footer = {"", "Example:", "  source <(nibble completion)"})
final class CompletionCommand implements Runnable {
  private final Session session;

  CompletionCommand(Session session) {
    this.session = session;
  }

  @Override
  public void run() {
    session.out().print(AutoComplete.bash("nibble", NibbleMain.commandLine(session)));
    session
        .out()
        .print(AutoComplete.bash("quantize", new CommandLine(new QuantizeCommand(session))));
    session.out().flush();
  }
}
