package dev.nibble.converter;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/// Runs {@link ConversionChild} in a JVM like this one.
record ChildProcess(Process process, BufferedReader output) implements AutoCloseable {
  private static final long TIMEOUT_SECONDS = 300;

  /// @param shellPrefix a shell command to put before it, such as `ulimit -f 100`; may be empty
  /// @param args of {@link ConversionChild#main}
  static ChildProcess start(String shellPrefix, List<String> args) throws IOException {
    List<String> java = new ArrayList<>();
    java.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    java.addAll(
        List.of(
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-Xmx256m",
            "-XX:+UseSerialGC",
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
            ConversionChild.class.getName()));
    java.addAll(args);
    List<String> command = new ArrayList<>();
    if (!shellPrefix.isEmpty()) {
      command.addAll(List.of("sh", "-c", shellPrefix + "; exec \"$@\"", "sh"));
    }
    command.addAll(java);
    Process process =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    return new ChildProcess(process, process.inputReader(StandardCharsets.UTF_8));
  }

  /// Its next line of output.
  String line() throws IOException {
    return String.valueOf(output.readLine());
  }

  /// Kills it as `kill -9` does, and waits until it is gone.
  void kill() throws InterruptedException {
    process.destroyForcibly();
    await();
  }

  int await() throws InterruptedException {
    if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS)) {
      throw new AssertionError("the child still runs after " + TIMEOUT_SECONDS + " s");
    }
    return process.exitValue();
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
