package dev.nibble.tools;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// The root of the command line; does nothing by itself.
@Command(
    name = "nibble",
    description = "Makes diffusion checkpoints smaller, as diffusers and transformers open them.",
    mixinStandardHelpOptions = true,
    versionProvider = ToolVersion.class,
    synopsisSubcommandLabel = "COMMAND",
    footer = {"", "Example:", "  nibble quantize model.safetensors --nf4 --skip img_mod"})
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
