package dev.nibble.formats.io;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.nibble.formats.NibbleException;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PendingOutputTest {
  @TempDir Path folder;

  @Test
  void fileAppearsOnlyWhenCommitted() throws IOException {
    Path target = folder.resolve("a/b/out.bin");
    try (var output = PendingOutput.file(target, false)) {
      Files.writeString(output.path(), "new");
      assertFalse(Files.exists(target));
      assertTrue(
          output.path().getFileName().toString().matches("\\.out\\.bin\\.nibble-[-0-9a-f]+\\.tmp"));
      output.commit();
      assertThrows(IllegalStateException.class, output::commit);
    }
    assertEquals("new", Files.readString(target));
    assertEquals(List.of("a", "a/b", "a/b/out.bin"), tree());
  }

  @Test
  void directoryAppearsOnlyWhenCommitted() throws IOException {
    Path target = folder.resolve("a/out");
    try (var output = PendingOutput.directory(target, false)) {
      Files.writeString(output.path().resolve("config.json"), "{}");
      Files.createDirectories(output.path().resolve("x/y"));
      assertFalse(Files.exists(target));
      output.commit();
    }
    assertEquals(List.of("a", "a/out", "a/out/config.json", "a/out/x", "a/out/x/y"), tree());
  }

  @Test
  void closingWithoutCommitLeavesNothing() throws IOException {
    try (var output = PendingOutput.file(folder.resolve("a/b/out"), false)) {
      Files.writeString(output.path(), "half");
    }
    var output = PendingOutput.directory(folder.resolve("c/out"), false);
    Files.createDirectory(output.path().resolve("x"));
    Files.writeString(output.path().resolve("x/y"), "half");
    output.close();
    output.close();
    assertThrows(IllegalStateException.class, output::commit);
    assertEquals(List.of(), tree());
  }

  @Test
  void parentsThatOthersUseMeanwhileStay() throws IOException {
    try (var output = PendingOutput.file(folder.resolve("a/b/out"), false)) {
      Files.writeString(output.path().resolveSibling("other"), "x");
    }
    assertEquals(List.of("a", "a/b", "a/b/other"), tree());
  }

  @Test
  void whatExistsIsRefusedWithoutForce() throws IOException {
    Path file = Files.writeString(folder.resolve("out"), "old");
    assertRefused(file, false, false, "exists already: give --force to replace it");
    assertRefused(file, true, false, "exists already: give --force to replace it");
    assertEquals(List.of("out"), tree());
  }

  @Test
  void whatAppearsMeanwhileIsRefusedWithoutForce() throws IOException {
    Path target = folder.resolve("out");
    try (var output = PendingOutput.file(target, false)) {
      Files.writeString(target, "other");
      assertThrows(NibbleException.class, output::commit);
    }
    assertEquals("other", Files.readString(target));
    assertEquals(List.of("out"), tree());
  }

  @Test
  void forceReplacesAFile() throws IOException {
    Path target = Files.writeString(folder.resolve("out"), "old");
    try (var output = PendingOutput.file(target, true)) {
      Files.writeString(output.path(), "new");
      assertEquals("old", Files.readString(target));
      output.commit();
    }
    assertEquals("new", Files.readString(target));
    assertEquals(List.of("out"), tree());
  }

  @Test
  void forceReplacesADirectoryThatLooksLikeAModel() throws IOException {
    Path target = oldModel();
    try (var output = PendingOutput.directory(target, true)) {
      Files.writeString(output.path().resolve("config.json"), "new");
      assertEquals("old", Files.readString(target.resolve("config.json")));
      output.commit();
    }
    assertEquals("new", Files.readString(target.resolve("config.json")));
    assertEquals(List.of("out", "out/config.json"), tree());
  }

  @Test
  void forceReplacesNothingElse() throws IOException {
    Path home = Files.createDirectory(folder.resolve("home"));
    Files.writeString(home.resolve("thesis.tex"), "x");
    assertRefused(home, true, true, "does not look like a model directory");
    assertRefused(home, false, true, "is a directory, but the output is one file");
    Path file = home.resolve("thesis.tex");
    assertRefused(file, true, true, "is a file, but the output is a directory");
    assertEquals(List.of("home", "home/thesis.tex"), tree());
  }

  @Test
  void oldDirectoryIsRestoredWhenTheNewOneCannotTakeItsPlace() throws IOException {
    Path target = oldModel();
    PendingOutput.Renamer failsForTheNew =
        (from, to) -> {
          if (from.toString().endsWith(".tmp")) {
            throw new IOException("No space left on device");
          }
          PendingOutput.Renamer.SYSTEM.rename(from, to);
        };
    try (var output = PendingOutput.open(target, true, true, failsForTheNew)) {
      Files.writeString(output.path().resolve("config.json"), "new");
      var failure = assertThrows(IOException.class, output::commit);
      assertEquals(
          target + ": no space left on the device: free some space, or write elsewhere",
          failure.getMessage());
    }
    assertEquals("old", Files.readString(target.resolve("config.json")));
    assertEquals(List.of("out", "out/config.json", "out/old.safetensors"), tree());
  }

  @Test
  void linksAreFollowed() throws IOException {
    Path real = Files.createDirectory(folder.resolve("real"));
    Path dangling = Files.createSymbolicLink(folder.resolve("link"), Path.of("real/out"));
    try (var output = PendingOutput.file(dangling, false)) {
      assertEquals(real.resolve("out"), output.target());
      Files.writeString(output.path(), "1");
      output.commit();
    }
    assertTrue(Files.isSymbolicLink(dangling));
    try (var output = PendingOutput.file(dangling, true)) {
      Files.writeString(output.path(), "2");
      output.commit();
    }
    assertTrue(Files.isSymbolicLink(dangling));
    assertEquals("2", Files.readString(real.resolve("out")));
    Path circle = Files.createSymbolicLink(folder.resolve("circle"), Path.of("circle"));
    assertRefused(circle, false, true, "symbolic links go in circles");
  }

  @Test
  void targetsThatCannotBeAreRefused() throws IOException {
    Path file = Files.writeString(folder.resolve("file"), "x");
    assertRefused(file.resolve("a/out"), false, false, file + " is a file, not a directory");
    assertRefused(Path.of("/"), true, true, "give the output a name of its own");
    assertRefused(folder.resolve(".."), true, true, "give the output a name of its own");
    assertRefused(folder.resolve("x".repeat(300)), false, false, "File name too long");
    assertEquals(List.of("file"), tree());
  }

  @Test
  void unwritableParentIsRefused() throws IOException {
    Path parent = Files.createDirectory(folder.resolve("parent"));
    assertTrue(parent.toFile().setWritable(false));
    // The superuser may write anywhere.
    assumeFalse(Files.isWritable(parent));
    assertRefused(parent.resolve("out"), false, false, "cannot be written: permission denied");
    assertRefused(parent.resolve("a/out"), true, false, "cannot be written: permission denied");
    assertTrue(parent.toFile().setWritable(true));
  }

  @Test
  void litterOfAKilledRunIsSwept() throws IOException {
    String killed = ".out.nibble-00000000-11111111";
    Files.createFile(folder.resolve(killed + ".lock"));
    Files.createDirectory(folder.resolve(killed + ".tmp"));
    Files.writeString(folder.resolve(killed + ".tmp/half"), "x");
    Files.writeString(folder.resolve(".other.nibble-00000000-11111111.lock"), "x");
    Files.writeString(folder.resolve(".out.nibble-notes.tmp"), "x");
    PendingOutput.file(folder.resolve("out"), false).close();
    assertEquals(List.of(".other.nibble-00000000-11111111.lock", ".out.nibble-notes.tmp"), tree());
  }

  @Test
  void directoryThatAKilledRunMovedAsideComesBack() throws IOException {
    String killed = ".out.nibble-00000000-11111111";
    Files.createFile(folder.resolve(killed + ".lock"));
    Files.createDirectory(folder.resolve(killed + ".tmp"));
    Path old = Files.createDirectory(folder.resolve(killed + ".old"));
    Files.writeString(old.resolve("config.json"), "old");
    Path target = folder.resolve("out");
    assertRefused(target, true, false, "exists already");
    assertEquals("old", Files.readString(target.resolve("config.json")));
    assertEquals(List.of("out", "out/config.json"), tree());
  }

  @Test
  void outputsOfOneProcessLeaveEachOtherAlone() throws IOException {
    Path target = folder.resolve("out");
    try (var first = PendingOutput.file(target, false);
        var second = PendingOutput.file(target, false)) {
      Files.writeString(first.path(), "1");
      Files.writeString(second.path(), "2");
      first.commit();
      assertThrows(NibbleException.class, second::commit);
    }
    assertEquals("1", Files.readString(target));
    assertEquals(List.of("out"), tree());
  }

  @Test
  void outputOfALivingProcessIsLeftAlone() throws Exception {
    Path target = folder.resolve("out");
    String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
    var process =
        new ProcessBuilder(
                java,
                "-cp",
                System.getProperty("java.class.path"),
                Holder.class.getName(),
                target.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (var lines =
        new BufferedReader(
            new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      Path held = Path.of(lines.readLine());
      PendingOutput.file(target, false).close();
      assertTrue(Files.exists(held), "the other process still lives");
      process.destroyForcibly().waitFor();
      assertTrue(Files.exists(held), "nobody could clean up after it");
      PendingOutput.file(target, false).close();
      assertEquals(List.of(), tree());
    } finally {
      process.destroyForcibly();
    }
  }

  /// The other process: opens an output and waits to be killed.
  static final class Holder {
    private Holder() {}

    public static void main(String[] args) throws IOException {
      try (var output = PendingOutput.file(Path.of(args[0]), false)) {
        System.out.println(output.path());
        int end = System.in.read();
        throw new IllegalStateException("not killed, but told " + end);
      }
    }
  }

  @Test
  void fullDiskAndLimitsAreExplained() throws IOException {
    assertTrue(IoErrors.reason(new IOException("File too large")).contains("ulimit -f"));
    Path full = Path.of("/dev/full");
    assumeTrue(Files.exists(full));
    try (var channel = FileChannel.open(full, StandardOpenOption.WRITE)) {
      var failure =
          assertThrows(IOException.class, () -> channel.write(ByteBuffer.wrap(new byte[1])));
      String message = String.valueOf(IoErrors.at(full, failure).getMessage());
      assertTrue(message.startsWith("/dev/full: no space left on the device"), message);
    }
  }

  private Path oldModel() throws IOException {
    Path target = Files.createDirectory(folder.resolve("out"));
    Files.writeString(target.resolve("config.json"), "old");
    Files.writeString(target.resolve("old.safetensors"), "old");
    return target;
  }

  private static void assertRefused(
      Path target, boolean directory, boolean force, String expected) {
    var refusal =
        assertThrows(
            NibbleException.class,
            () -> {
              if (directory) {
                PendingOutput.directory(target, force).close();
              } else {
                PendingOutput.file(target, force).close();
              }
            });
    String message = String.valueOf(refusal.getMessage());
    assertTrue(message.startsWith(target + ": "), message);
    assertTrue(message.contains(expected), message);
    assertEquals(1, message.lines().count(), message);
  }

  /// Everything in the folder, by path.
  private List<String> tree() throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(file -> !file.equals(folder))
          .map(file -> folder.relativize(file).toString())
          .sorted()
          .toList();
    }
  }
}
