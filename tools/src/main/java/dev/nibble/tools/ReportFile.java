package dev.nibble.tools;

import dev.nibble.converter.ConversionPlan;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.io.PendingOutput;
import dev.nibble.tools.report.HtmlReport;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;

/// The file that `--report` names: what it must not replace, and how it is written.
record ReportFile(CommandSpec spec, Path path) {
  /// As much of a file as must hold the mark of a page.
  private static final int HEAD_BYTES = 1024;

  /// A report that can't be written should not be found out after the conversion.
  void requireWritable() {
    Path folder = path.toAbsolutePath().getParent();
    if (Files.isDirectory(path) || folder == null || !Files.isWritable(folder)) {
      throw wrong("not a file in a folder that can be written");
    }
  }

  /// Refuses to replace the source, the output, and what is no earlier page.
  void requireFree(ConversionPlan plan) throws IOException {
    boolean exists = Files.exists(path);
    if (exists ? !Files.isRegularFile(path) : Files.isSymbolicLink(path)) {
      throw wrong("is no regular file: choose another file");
    }
    Path behindLinks = real(path);
    List<Path> names = List.of(behindLinks, besideLinks());
    if (exists && lieIn(names, sources(plan))) {
      throw wrong("belongs to the source, which is never replaced: choose another file");
    }
    Path target = real(plan.target());
    if (lieIn(names, List.of(target)) || target.startsWith(behindLinks)) {
      throw wrong("is where the output goes, " + plan.target() + ": choose another file");
    }
    if (exists && !plan.request().force() && !isReport()) {
      throw wrong(
          "exists already and is no report of nibble: give --force to replace it, or choose another"
              + " file");
    }
  }

  /// Writes the page, whole or not at all.
  void write(String page) throws IOException {
    try (PendingOutput output = PendingOutput.file(path, true)) {
      Files.writeString(output.path(), page);
      output.commit();
    }
  }

  private static List<Path> sources(ConversionPlan plan) throws IOException {
    List<Path> sources = new ArrayList<>();
    Path given = plan.request().source();
    sources.add(real(given));
    Path folder = given.toAbsolutePath().getParent();
    if (given.toString().endsWith(".index.json") && folder != null) {
      sources.add(real(folder));
    }
    for (CheckpointFile file : plan.sources()) {
      sources.add(real(file.path()));
    }
    for (Path copied : plan.copied().values()) {
      sources.add(real(copied));
    }
    if (plan.request().config().isPresent()) {
      sources.add(real(plan.request().config().get()));
    }
    return sources;
  }

  private static boolean lieIn(List<Path> names, List<Path> places) {
    return names.stream().anyMatch(name -> places.stream().anyMatch(name::startsWith));
  }

  private boolean isReport() throws IOException {
    try (InputStream in = Files.newInputStream(path)) {
      String head = new String(in.readNBytes(HEAD_BYTES), StandardCharsets.UTF_8);
      return head.contains(HtmlReport.MARK);
    }
  }

  /// The path itself, should it be a link, in a folder without links.
  private Path besideLinks() throws IOException {
    Path whole = path.toAbsolutePath();
    Path folder = whole.getParent();
    Path name = whole.getFileName();
    return folder == null || name == null ? whole : real(folder).resolve(name);
  }

  /// An absolute path without links, as far as it exists.
  private static Path real(Path path) throws IOException {
    Path whole = path.toAbsolutePath();
    Path above = whole;
    while (above != null && !Files.exists(above)) {
      above = above.getParent();
    }
    return above == null
        ? whole.normalize()
        : above.toRealPath().resolve(above.relativize(whole)).normalize();
  }

  private ParameterException wrong(String message) {
    return new ParameterException(spec.commandLine(), "--report " + path + ": " + message);
  }
}
