package dev.nibble.tools;

import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// What the launchers run once after a build, so that Java can store which classes are loaded and
/// which methods are hot. Its output and its failures do not matter to anyone but the build log.
final class TrainingRun {
  private static final String[] SCHEMES = {
    "nf4", "fp4", "int8", "absmax8", "affine8", "bnb8-dynamic"
  };

  private static final String CHECKPOINT = "emoji-qwen/transformer-qwen";

  private TrainingRun() {}

  /// @param args `plain` or `compute`; the project's root; a folder to work in, which must not
  ///   exist
  public static void main(String[] args) throws IOException {
    Path models = Path.of(args[1], "fixtures/models");
    for (List<String> command :
        args[0].equals("plain") ? plain(models) : compute(models, Path.of(args[2]))) {
      Interrupts.install(Session.ofProcess(System.out)).ended(0);
      PrintStream nowhere = new PrintStream(OutputStream.nullOutputStream(), false);
      int code = NibbleMain.run(command.toArray(String[]::new), nowhere, System.err);
      System.err.println("training: " + String.join(" ", command) + " -> " + code);
    }
  }

  private static List<List<String>> plain(Path models) {
    Path model = models.resolve(CHECKPOINT);
    return List.of(
        List.of("--help"),
        List.of("--version"),
        List.of("quantize", "--help"),
        List.of("generate", "--help"),
        List.of("inspect", "--help"),
        List.of("inspect", model.toString()),
        List.of("inspect", model.toString(), "--json"),
        List.of("completion"));
  }

  private static List<List<String>> compute(Path models, Path work) throws IOException {
    Path model = models.resolve(CHECKPOINT);
    Files.createDirectories(work);
    List<List<String>> commands = new ArrayList<>();
    for (String scheme : SCHEMES) {
      String output = work.resolve(scheme).toString();
      commands.add(
          List.of("quantize", model.toString(), "--scheme", scheme, "--force", "-o", output));
      commands.add(List.of("verify", model.toString(), output));
    }
    commands.add(List.of("dequantize", work.resolve("nf4").toString(), "--force"));
    commands.add(List.of("quantize", model.toString(), "--nf4", "--dry-run"));
    String picture = work.resolve("picture.png").toString();
    String pipeline = models.resolve("emoji-zimage").toString();
    commands.add(List.of("generate", pipeline, "--prompt", "red apple", "-o", picture));
    return commands;
  }
}
