package dev.nibble.runtime.text;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import dev.nibble.formats.UnsupportedException;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// Hugging Face's tokenizers, as DJL's jar carries them for each platform.
///
/// DJL's own loader isn't used: it asks the network whether it runs on EC2, downloads another build
/// where it finds a GPU, writes to `~/.djl.ai`, and logs by slf4j. This one copies the library to
/// the temporary folder, loads it and deletes the copy.
final class NativeTokenizers {
  private NativeTokenizers() {}

  /// Loaded once a process, by the JVM's rule for classes.
  private static final class Loaded {
    static final Optional<UnsupportedException> FAILURE = load();
  }

  /// The library's functions.
  ///
  /// @throws UnsupportedException if there is none for this platform, or it can't be loaded
  static TokenizersLibrary library() {
    if (Loaded.FAILURE.isPresent()) {
      throw Loaded.FAILURE.get();
    }
    return TokenizersLibrary.LIB;
  }

  // Loading native code is restricted; the launcher and the build allow it.
  @SuppressWarnings("restricted")
  private static Optional<UnsupportedException> load() {
    String platform = platform();
    try {
      Path folder = Files.createTempDirectory("nibble-tokenizers");
      List<Path> copies = new ArrayList<>();
      try {
        for (String name : names(platform)) {
          Path copy = folder.resolve(name);
          copies.add(copy);
          copy("/native/lib/" + platform + "/cpu/" + name, copy);
          System.load(copy.toString());
        }
      } finally {
        copies.forEach(NativeTokenizers::delete);
        delete(folder);
      }
      return Optional.empty();
    } catch (IOException | UnsatisfiedLinkError e) {
      return Optional.of(
          new UnsupportedException(
              "tokenizers for " + platform,
              "can't be loaded (%s); set -Djava.io.tmpdir to a folder that may hold programs"
                  .formatted(e.getMessage())));
    }
  }

  private static void copy(String resource, Path target) throws IOException {
    try (InputStream in = TokenizersLibrary.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IOException("there is none: nibble runs on Linux, macOS on ARM, and Windows");
      }
      Files.copy(in, target);
    }
  }

  /// Windows keeps the file of a loaded library, so there it goes at the end of the process.
  private static void delete(Path path) {
    File file = path.toFile();
    if (!file.delete()) {
      file.deleteOnExit();
    }
  }

  private static String platform() {
    String os = System.getProperty("os.name", "").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch", "");
    return (os.startsWith("windows") ? "win" : os.startsWith("mac") ? "osx" : "linux")
        + "-"
        + (arch.equals("amd64") ? "x86_64" : arch);
  }

  private static List<String> names(String platform) {
    String library = System.mapLibraryName("tokenizers");
    return platform.startsWith("win")
        ? List.of("libwinpthread-1.dll", "libgcc_s_seh-1.dll", "libstdc++-6.dll", library)
        : List.of(library);
  }
}
