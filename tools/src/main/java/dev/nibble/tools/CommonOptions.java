package dev.nibble.tools;

import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// What every command takes.
@Command(mixinStandardHelpOptions = true, versionProvider = ToolVersion.class)
final class CommonOptions {
  @Option(names = "--json", order = 50, description = "Print the result as JSON.")
  boolean json;

  @Option(names = "--debug", order = 51, description = "Print the stack trace of a failure.")
  boolean debug;
}
