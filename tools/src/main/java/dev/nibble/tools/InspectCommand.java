package dev.nibble.tools;

import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.Checkpoints;
import dev.nibble.formats.NibbleException;
import dev.nibble.formats.Text;
import dev.nibble.tools.report.ByteSize;
import dev.nibble.tools.report.ReportJson;
import dev.nibble.tools.report.TextTable;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Parameters;

/// `nibble inspect`: what a checkpoint holds, from its headers alone.
@Command(
    name = "inspect",
    description = "Lists the tensors of a checkpoint; reads headers only.",
    footer = {"", "Example:", "  nibble inspect transformer/ '*.attn.*'"})
final class InspectCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Parameters(
      index = "0",
      paramLabel = "MODEL",
      description = "A .safetensors file, a model directory, or a .safetensors.index.json.")
  private Path model;

  @Parameters(
      index = "1",
      arity = "0..1",
      paramLabel = "PATTERN",
      description = "Only these tensors: a name, path component (img_mod), prefix or glob.")
  private Optional<String> glob = Optional.empty();

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  InspectCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws IOException {
    try (Checkpoint checkpoint = Checkpoints.open(model)) {
      List<ListedTensor> shown = new ArrayList<>();
      Pattern filter = pattern(glob.orElse("*"));
      for (ListedTensor tensor : ListedTensor.of(checkpoint)) {
        if (filter.matcher(tensor.name()).matches()) {
          shown.add(tensor);
        }
      }
      if (glob.isPresent() && shown.isEmpty()) {
        throw new NibbleException(
            "%s: '%s' matches no tensor: without a pattern, inspect lists all names"
                .formatted(model, Text.printable(glob.get())));
      }
      if (common.json) {
        json(checkpoint, shown).print(session.out());
      } else {
        print(checkpoint, shown);
      }
    }
    return 0;
  }

  /// What a pattern matches, as with `--skip`: its components stand one after the other and whole
  /// anywhere in the name, `*` is any characters and `?` one. A pattern that ends with `.weight`
  /// names the tensor, and not what is stored beside it.
  static Pattern pattern(String text) {
    StringBuilder regex = new StringBuilder("(?:.*\\.)?");
    text.codePoints()
        .forEach(c -> {
          switch (c) {
            case '*' -> regex.append(".*");
            case '?' -> regex.append('.');
            default -> regex.append(Pattern.quote(Character.toString(c)));
          }
        });
    if (!text.endsWith(".weight")) {
      regex.append("(?:\\..*)?");
    }
    return Pattern.compile(regex.toString().replaceAll("(?:\\.\\*){2,}", ".*"), Pattern.DOTALL);
  }

  private void print(Checkpoint checkpoint, List<ListedTensor> shown) {
    PrintStream out = session.out();
    TextTable table = new TextTable("lrrll");
    table.row("dtype", "shape", "bytes", "scheme", "tensor");
    for (ListedTensor tensor : shown) {
      table.row(
          tensor.type(),
          tensor.shape().toString(),
          ByteSize.exact(tensor.byteSize()),
          tensor.scheme(),
          Text.printable(tensor.name()));
    }
    table.print(out, 0);
    out.println();
    TextTable totals = new TextTable("lrrr");
    totals.row("dtype", "tensors", "elements", "bytes");
    byDtype(shown).forEach((dtype, sum) -> totals.row(sum.cells(dtype)));
    totals.row(Sum.of(shown).cells("total"));
    totals.print(out, 0);
    out.println();
    for (CheckpointFile file : checkpoint.files()) {
      out.println(
          "file  %s  %s bytes, header %s"
              .formatted(
                  file.path(), ByteSize.exact(file.size()), ByteSize.exact(file.headerSize())));
    }
    checkpoint
        .metadata()
        .forEach((key, value) ->
            out.println("meta  " + Text.printable(key) + " = " + Text.printable(value)));
    out.flush();
  }

  private ReportJson json(Checkpoint checkpoint, List<ListedTensor> shown) {
    List<Path> files = checkpoint.files().stream().map(CheckpointFile::path).toList();
    ReportJson json = new ReportJson("inspect", files, List.of());
    for (ListedTensor tensor : shown) {
      json.add(
              tensor.name(),
              tensor.shape(),
              tensor.type(),
              tensor.scheme().isEmpty() ? "none" : tensor.scheme(),
              "as stored",
              tensor.byteSize(),
              tensor.byteSize())
          .put("file", files.get(tensor.file()).toString())
          .put("offset", tensor.offset());
    }
    Sum sum = Sum.of(shown);
    json.totals()
        .put("tensors", sum.tensors())
        .put("elements", sum.elements())
        .put("bytes_in", sum.bytes())
        .put("bytes_out", sum.bytes());
    var dtypes = json.totals().putObject("dtypes");
    byDtype(shown)
        .forEach((dtype, part) ->
            dtypes
                .putObject(dtype)
                .put("tensors", part.tensors())
                .put("elements", part.elements())
                .put("bytes", part.bytes()));
    var metadata = json.root().putObject("metadata");
    checkpoint.metadata().forEach(metadata::put);
    return json;
  }

  private static Map<String, Sum> byDtype(List<ListedTensor> tensors) {
    Map<String, Sum> sums = new TreeMap<>();
    for (ListedTensor tensor : tensors) {
      sums.merge(tensor.type(), Sum.of(List.of(tensor)), Sum::plus);
    }
    return sums;
  }

  private record Sum(int tensors, long elements, long bytes) {
    static Sum of(List<ListedTensor> tensors) {
      return new Sum(
          tensors.size(),
          tensors.stream().mapToLong(tensor -> tensor.shape().elements()).sum(),
          tensors.stream().mapToLong(ListedTensor::byteSize).sum());
    }

    Sum plus(Sum other) {
      return new Sum(tensors + other.tensors, elements + other.elements, bytes + other.bytes);
    }

    String[] cells(String label) {
      return new String[] {
        label, String.valueOf(tensors), ByteSize.exact(elements), ByteSize.exact(bytes)
      };
    }
  }
}
