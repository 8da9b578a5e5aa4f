package dev.nibble.tools;

import dev.nibble.converter.internal.Version;
import dev.nibble.runtime.GeneratedImage;
import dev.nibble.runtime.Generation;
import dev.nibble.runtime.GenerationRequest;
import dev.nibble.runtime.Pipeline;
import dev.nibble.runtime.image.ContactSheet;
import dev.nibble.runtime.image.ContactSheet.Cell;
import dev.nibble.runtime.image.Png;
import dev.nibble.runtime.image.RgbImage;
import dev.nibble.tools.report.Comparison;
import dev.nibble.tools.report.ComparisonPrinter;
import dev.nibble.tools.report.GenerationPrinter;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Optional;
import java.util.SequencedMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/// `nibble generate`: a prompt to pictures.
@Command(
    name = "generate",
    description = "Draws pictures from a prompt.",
    sortOptions = false,
    customSynopsis = {
      "nibble generate DIR --prompt TEXT [-o OUT.png] [options]",
      "       nibble generate DIR --prompt TEXT --compare [options]"
    },
    footer = {
      "",
      "Examples:",
      "  nibble generate Z-Image/ --prompt 'a red fox' --size 1024x1024 -o fox.png",
      "  nibble generate Z-Image/ -p 'a red fox' --transformer Z-Image-nf4/",
      "  nibble generate Z-Image/ -p 'a red fox' --compare -o compare.png"
    })
final class GenerateCommand implements Callable<Integer> {
  private final Session session;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Spec
  private CommandSpec spec;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private GenerateOptions options;

  @Option(
      names = {"-o", "--output"},
      order = 20,
      paramLabel = "OUT.png",
      description = "The picture (default out.png).")
  private Path output = Path.of("out.png");

  @Option(
      names = "--grid",
      order = 21,
      description = "With --count: also lay all pictures out on one sheet, named as -o says.")
  private boolean grid;

  @Option(
      names = "--compare",
      order = 22,
      description =
          "Draw the same with dense, NF4 and int8 weights, each with and without a cache, on one"
              + " sheet with PSNR, SSIM, time and size.")
  private boolean compare;

  @Option(
      names = "--save-latents",
      order = 23,
      paramLabel = "FILE",
      description = "Also write what the pictures were decoded from, as X.safetensors.")
  private Optional<Path> latents = Optional.empty();

  @Option(names = "--force", order = 24, description = "Replace outputs that exist.")
  private boolean force;

  @Option(
      names = {"-q", "--quiet"},
      order = 41,
      description = "Print nothing but errors.")
  private boolean quiet;

  @SuppressWarnings("NullAway.Init") // picocli sets it
  @Mixin
  private CommonOptions common;

  GenerateCommand(Session session) {
    this.session = session;
  }

  @Override
  public Integer call() throws IOException {
    options.requireSense();
    requireSense();
    GenerationRequest request = options.request();
    List<Path> pictures = PictureFiles.names(output, options.count());
    List<Path> files = new ArrayList<>(pictures);
    if (grid) {
      files.add(output);
    }
    latents.ifPresent(files::add);
    try (PictureFiles places = PictureFiles.reserve(files, options.initialImage(), force)) {
      if (compare) {
        compare(request, places);
      } else {
        draw(request, pictures, places);
      }
    }
    return 0;
  }

  private void requireSense() {
    require(
        PictureFiles.isPng(output),
        "--output %s: only PNG pictures are written: name X.png".formatted(output));
    require(!grid || options.count() > 1, "--grid lays several pictures out: give --count too");
    require(
        latents.isEmpty() || latents.get().toString().endsWith(".safetensors"),
        "--save-latents takes X.safetensors, not " + latents.map(Path::toString).orElse(""));
    require(
        !compare || (options.count() == 1 && latents.isEmpty()),
        "--compare draws one picture several ways: leave --count, --grid and --save-latents out");
  }

  private void require(boolean holds, String message) {
    if (!holds) {
      throw new ParameterException(spec.commandLine(), message);
    }
  }

  private void draw(GenerationRequest request, List<Path> names, PictureFiles places)
      throws IOException {
    Generation generation;
    try (StepBar bar = new StepBar(session, "", quiet);
        Pipeline pipeline = Drawing.open(options.directory(), options.pipeline(), bar, session)) {
      generation = Drawing.draw(pipeline, request, bar, session);
    }
    List<GeneratedImage> images = generation.images();
    for (int i = 0; i < images.size(); i++) {
      Png.write(places.of(names.get(i)), images.get(i).image(), texts(images.get(i)));
    }
    if (grid) {
      Png.write(places.of(output), sheet(images), texts(images.getFirst()));
    }
    if (latents.isPresent()) {
      LatentsFile.write(places.of(latents.get()), images);
    }
    places.commit();
    GenerationPrinter printer = new GenerationPrinter(generation, names, request.seed());
    if (common.json) {
      printer.json(options.directory(), places.files(), session.out());
    } else if (!quiet) {
      printer.print(places.files(), session.out());
    }
  }

  private void compare(GenerationRequest request, PictureFiles places) throws IOException {
    ComparisonRun run =
        new ComparisonRun(session, quiet, options.directory(), options.pipeline(), request);
    Comparison comparison = run.compare(options.cache());
    ComparisonPrinter printer = new ComparisonPrinter(comparison);
    Png.write(places.of(output), printer.sheet(), texts(comparison.reference().image()));
    places.commit();
    if (common.json) {
      printer.json(options.directory(), output, session.out());
    } else if (!quiet) {
      printer.print(output, session.out());
    }
  }

  /// All pictures, in a grid about as wide as high.
  private static RgbImage sheet(List<GeneratedImage> images) {
    List<Cell> cells =
        images.stream()
            .map(one -> new Cell(one.image(), List.of(String.valueOf(one.index()))))
            .toList();
    return ContactSheet.draw(cells, (int) Math.ceil(Math.sqrt(cells.size())));
  }

  /// What the file says about itself; `Software` is a keyword of the PNG specification.
  private static SequencedMap<String, String> texts(GeneratedImage image) {
    SequencedMap<String, String> texts = new LinkedHashMap<>(image.parameters());
    texts.putLast("Software", "nibble " + Version.current());
    return texts;
  }
}
