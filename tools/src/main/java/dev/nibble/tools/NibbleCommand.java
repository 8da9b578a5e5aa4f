package dev.nibble.tools;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// The root of the command line; does nothing by itself.
@Command(
    name = "nibble",
    description = "Makes diffusion models small and fast, and draws with them.",
    mixinStandardHelpOptions = true,
    versionProvider = ToolVersion.class,
    synopsisSubcommandLabel = "COMMAND",
    footer = {
      "",
      "Examples:",
      "  nibble quantize model.safetensors --nf4 --skip img_mod",
      "  nibble generate Z-Image/ --prompt 'a red fox' -o fox.png"
    })
final class NibbleCommand implements Runnable {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  private CommandSpec spec;

  NibbleCommand(Session session) {
    this.session = session;
  }

  @Override
  public void run() {
    spec.commandLine().usage(session.err());
    throw new ParameterException(spec.commandLine(), "give a command, for example quantize");
  }
}
