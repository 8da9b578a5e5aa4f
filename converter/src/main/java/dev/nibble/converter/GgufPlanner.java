package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.DType;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.gguf.GgufHeader;
import dev.nibble.formats.gguf.GgufLayout;
import dev.nibble.formats.gguf.GgufType;
import dev.nibble.formats.gguf.GgufValue;
import dev.nibble.formats.gguf.ImportanceMatrix;
import dev.nibble.formats.model.LayerKind;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.model.Recognition;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.ggml.GgmlType;
import dev.nibble.formats.quant.storage.GgufStorage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/// Plans the tensors of a GGUF file as the tools do that image models' GGUF files come from:
/// ComfyUI-GGUF's `convert.py` and llama.cpp with its patch.
///
/// | tensor | becomes |
/// |---|---|
/// | weight of a linear layer | the mix's type for it |
/// | the same, kept by the architecture or the user, or its rows no multiple of the block | BF16 if it was that, else F16 |
/// | one dimension, or at most 1024 elements, or a parameter that must be exact | F32 (F16 if it was that) |
/// | any other | F16; F32 if it was BF16, which diffusers can use in linear layers only |
/// | of more than 4 dimensions, or a type that ggml lacks | left out, with a note |
///
/// Weights of convolutions are quantized for Stable Diffusion's UNets only, cut into rows of 256.
///
/// In a file of a plain type nothing is cut, and nothing kept for the architecture's sake:
///
/// | tensor | F32 | F16 | BF16 |
/// |---|---|---|---|
/// | weight of a linear layer | F32 | F16 | BF16 |
/// | one dimension, or at most 1024 elements, or a parameter that must be exact | F32 | F32 (F16 if it was that) | F32 (F16 if it was that) |
/// | any other | F32 | F16 | F32 (F16 if it was that) |
///
/// Layers that the user or loaders keep are BF16 or F16 there if they were that, but for F32.
final class GgufPlanner {
  private static final int SMALL = 1024;

  /// ComfyUI-GGUF cuts the rows of tensors of at least so many elements.
  private static final int CUT_FROM = 512;

  private final Recognition model;
  private final SkipRules rules;
  private final PlanNotes notes;
  private final Optional<GgufArchitecture> architecture;
  private final GgufMix mix;
  private final boolean uniform;
  private final Optional<ImportanceMatrix> imatrix;
  private final Map<String, Shape> cut = new LinkedHashMap<>();
  private final Map<String, GgufValue> originalShapes = new LinkedHashMap<>();
  private final List<String> fallbacks = new ArrayList<>();

  /// @throws ConversionException if the request asks for what a GGUF file can't hold
  /// @throws IOException if the importance matrix can't be read
  GgufPlanner(ConversionRequest request, Recognition model, SkipRules rules, PlanNotes notes)
      throws IOException {
    requirePossible(request);
    this.model = model;
    this.rules = rules;
    this.notes = notes;
    this.architecture = GgufArchitecture.of(model);
    this.imatrix =
        request.imatrix().isPresent()
            ? Optional.of(ImportanceMatrix.read(request.imatrix().get()))
            : Optional.empty();
    this.uniform = request.gguf().isEmpty();
    this.mix =
        request
            .gguf()
            .orElseGet(
                () -> GgufMix.of(((GgmlBlock) request.schemes().getFirst().scheme()).type()));
  }

  private static void requirePossible(ConversionRequest request) {
    for (SchemeRule rule : request.schemes()) {
      if (!(rule.scheme() instanceof GgmlBlock)) {
        throw new ConversionException(
            "--scheme %s=%s: a GGUF file holds ggml's types only, such as gguf:q8_0"
                .formatted(rule.pattern(), rule.scheme().id()));
      }
    }
    if (request.storage().isPresent()) {
      throw new ConversionException(
          "--format %s: a GGUF file stores weights in its own way: leave it out"
              .formatted(request.storage().get().id()));
    }
    if (request.allowNonFinite() && request.quantizesToGgml()) {
      throw new ConversionException(
          "--allow-non-finite: ggml's quantized types have no way to store NaN or infinity: leave it out, and"
              + " keep such layers with --skip");
    }
    if (request.keptDtype().isPresent()) {
      throw new ConversionException(
          "--dtype: what a GGUF file keeps is stored as its readers need it, F32, F16 or BF16: leave"
              + " it out");
    }
  }

  /// What becomes of every tensor.
  ///
  /// @throws ConversionException if nothing is left to quantize
  List<TensorPlan> tensors(List<Decision> decisions) {
    Map<String, Integer> valuesBefore = valuesBefore(decisions);
    List<TensorPlan> plans = new ArrayList<>();
    List<String> leftOut = new ArrayList<>();
    for (Decision decision : decisions) {
      SourceTensor tensor = decision.tensor();
      if (tensor.shape().rank() > GgufLayout.MOST_DIMS
          || (!tensor.dtype().isQuantizable() && GgmlType.of(tensor.dtype()).isEmpty())) {
        leftOut.add(
            "%s (%s %s)".formatted(Text.printable(tensor.name()), tensor.dtype(), tensor.shape()));
        continue;
      }
      plans.add(plan(decision, valuesBefore.getOrDefault(tensor.name(), 0)));
    }
    note(leftOut);
    imatrix.ifPresent(matrix -> noteCoverage(matrix, plans));
    return plans;
  }

  private void noteCoverage(ImportanceMatrix matrix, List<TensorPlan> plans) {
    int weights = 0;
    int known = 0;
    for (TensorPlan plan : plans) {
      if (plan instanceof TensorPlan.Quantize weight) {
        weights++;
        SourceTensor tensor = weight.source();
        known += matrix.of(tensor.name(), tensor.shape()).isPresent() ? 1 : 0;
      }
    }
    if (known == 0) {
      throw new ConversionException(
          matrix.path()
              + ": knows none of the weights that are quantized; it names "
              + Text.printable(matrix.names().getFirst())
              + ", ...: take the matrix of this model, with its names");
    }
    notes.add("the importance matrix knows %d of %d weights".formatted(known, weights));
  }

  private void note(List<String> leftOut) {
    if (!leftOut.isEmpty()) {
      notes.add(
          "left out, since GGUF has at most 4 dimensions and no such types: "
              + String.join(", ", leftOut)
              + "; ComfyUI-GGUF's tools/fix_5d_tensors.py adds tensors of 5 dimensions to a file");
    }
    if (!fallbacks.isEmpty()) {
      notes.add(
          "%d weights stay F16, since their rows are no multiple of a block: %s%s"
              .formatted(
                  fallbacks.size(),
                  Text.printable(fallbacks.getFirst()),
                  fallbacks.size() > 1 ? ", ..." : ""));
    }
  }

  /// Mixes treat the first attention values otherwise, and count in the order of the file: the
  /// tools take one file, and keep the order of its data. Where the source is no such file, it is
  /// the order of names: tensors of one type lie in it in the file that safetensors would have made
  /// for them.
  private Map<String, Integer> valuesBefore(List<Decision> decisions) {
    List<SourceTensor> values =
        decisions.stream()
            .filter(Decision.Quantize.class::isInstance)
            .map(Decision::tensor)
            .filter(tensor -> GgufMix.Role.of(tensor.name()) == GgufMix.Role.ATTENTION_VALUE)
            .filter(tensor -> !isKept(tensor.name()))
            .toList();
    boolean oneFile =
        values.stream().allMatch(SourceTensor::asStored)
            && values.stream().mapToInt(SourceTensor::file).distinct().count() < 2;
    Stream<String> names = values.stream().map(SourceTensor::name);
    Map<String, Integer> before = new LinkedHashMap<>();
    (oneFile ? names : names.sorted()).forEach(name -> before.put(name, before.size()));
    return before;
  }

  /// By the architecture; a pattern that names the layer overrules it.
  private boolean isKept(String name) {
    return architecture.filter(known -> known.keeps(ownName(name))).isPresent() && !isNamed(name);
  }

  private String ownName(String name) {
    return name.substring(model.prefix().length());
  }

  private boolean isNamed(String name) {
    return rules
        .schemeOf(LayerDecisions.module(name))
        .filter(rule -> !rule.pattern().equals("*"))
        .isPresent();
  }

  private TensorPlan plan(Decision decision, int valuesBefore) {
    SourceTensor tensor = decision.tensor();
    return switch (decision) {
      case Decision.Cast weight when isExact(tensor) -> kept(tensor, true, "small");
      case Decision.Cast weight -> TensorPlan.in(weight.target(), tensor, weight.reason());
      case Decision.Quantize weight when isKept(tensor.name()) ->
          kept(tensor, true, "GGUF tools keep it");
      case Decision.Quantize weight -> weight(tensor, type(weight, valuesBefore), weight.reason());
      case Decision.Keep keep when isCutConvolution(tensor) ->
          weight(tensor, mix.base(), "convolution, cut into rows of 256");
      case Decision.Keep keep -> kept(tensor, keep.linear(), keep.reason());
    };
  }

  private GgmlType type(Decision.Quantize weight, int valuesBefore) {
    String name = weight.tensor().name();
    return uniform || isNamed(name)
        ? ((GgmlBlock) weight.scheme()).type()
        : mix.type(GgufMix.Role.of(name), valuesBefore);
  }

  private boolean isCutConvolution(SourceTensor tensor) {
    String name = tensor.name();
    String module = LayerDecisions.module(name);
    return mix.plain().isEmpty()
        && architecture.filter(GgufArchitecture::cutsRows).isPresent()
        && model.kind(name, tensor.shape()) == LayerKind.CONVOLUTION
        && name.endsWith(".weight")
        && isCut(tensor.shape())
        && !isKept(name)
        && rules.skippedBy(module).isEmpty()
        && rules.allows(module);
  }

  /// Whether a tensor gets rows of 256 elements.
  private boolean isCut(Shape shape) {
    return architecture.filter(GgufArchitecture::cutsRows).isPresent()
        && shape.rank() > 1
        && shape.elements() >= CUT_FROM
        && shape.elements() % GgmlBlock.CUT_ROW == 0
        && shape.last() % GgmlBlock.CUT_ROW != 0;
  }

  private TensorPlan weight(SourceTensor tensor, GgmlType type, String reason) {
    Shape shape = tensor.shape();
    boolean isCut = isCut(shape);
    if (!isCut && (!type.fits(shape) || shape.rank() != 2 || shape.dim(0) == 1)) {
      fallbacks.add(tensor.name());
      return TensorPlan.in(DType.F16, tensor, "rows are no multiple of a block of " + type);
    }
    if (isCut) {
      cut.put(tensor.name(), Shape.of(shape.elements() / GgmlBlock.CUT_ROW, GgmlBlock.CUT_ROW));
      originalShapes.put(GgufHeader.ORIGINAL_SHAPE + tensor.name(), originalShape(shape));
    }
    GgmlBlock scheme = new GgmlBlock(type);
    GgufStorage storage = new GgufStorage();
    return new TensorPlan.Quantize(
        tensor,
        scheme,
        storage,
        storage.plan(tensor.name(), scheme, shape, tensor.dtype()),
        reason);
  }

  private TensorPlan kept(SourceTensor tensor, boolean linear, String reason) {
    return tensor.dtype().isQuantizable()
        ? TensorPlan.in(keptType(tensor, linear), tensor, reason)
        : new TensorPlan.Keep(tensor, reason);
  }

  private DType keptType(SourceTensor tensor, boolean linear) {
    if (mix == GgufMix.F32) {
      return DType.F32;
    }
    boolean exact = isExact(tensor);
    DType parameter = exact || mix != GgufMix.F16 ? DType.F32 : DType.F16;
    return switch (tensor.dtype()) {
      case F16, F8_E4M3, F8_E5M2 -> DType.F16;
      case BF16 -> linear && !exact ? DType.BF16 : parameter;
      default -> exact || mix == GgufMix.BF16 ? DType.F32 : DType.F16;
    };
  }

  private static boolean isExact(SourceTensor tensor) {
    return tensor.shape().rank() <= 1
        || tensor.shape().elements() <= SMALL
        || GgufArchitecture.isHighPrecision(tensor.name());
  }

  /// The rest of the file; after {@link #tensors}.
  GgufFile file() {
    Map<String, GgufValue> metadata = new LinkedHashMap<>();
    architecture.ifPresent(
        known -> metadata.put(GgufHeader.ARCHITECTURE, GgufValue.text(known.id())));
    metadata.put("general.quantization_version", GgufValue.u32(2));
    metadata.put("general.file_type", GgufValue.u32(mix.fileType()));
    imatrix.ifPresent(matrix -> describe(matrix, metadata));
    metadata.putAll(originalShapes);
    return new GgufFile(metadata, cut, imatrix);
  }

  /// As llama.cpp's quantizer does, but for the path, of which only the name is told.
  private static void describe(ImportanceMatrix matrix, Map<String, GgufValue> metadata) {
    String start = "quantize.imatrix.";
    metadata.put(start + "file", GgufValue.text(String.valueOf(matrix.path().getFileName())));
    ImportanceMatrix.Origin origin = matrix.origin();
    origin.dataset().ifPresent(name -> metadata.put(start + "dataset", GgufValue.text(name)));
    metadata.put(start + "entries_count", GgufValue.u32(matrix.names().size()));
    origin.chunks().ifPresent(n -> metadata.put(start + "chunks_count", GgufValue.u32(n)));
  }

  private static GgufValue originalShape(Shape shape) {
    return new GgufValue.Array(
        GgufType.I32,
        shape.dims().stream()
            .<GgufValue>map(dim -> new GgufValue.Whole(GgufType.I32, dim))
            .toList());
  }

  /// Notes on who opens the file.
  void noteReaders() {
    boolean original = model.dialect() == Dialect.ORIGINAL;
    boolean oneDialect = model.family().id().equals("qwen-image");
    String names = original || oneDialect ? "original names" : "diffusers' names";
    if (architecture.isEmpty()) {
      notes.add(
          names
              + "; no tool names this architecture in GGUF files, so the file names none: nibble"
              + " opens it");
      return;
    }
    String start = names + ", architecture '" + architecture.get().id() + "': ";
    if (!cut.isEmpty()) {
      notes.add(start + "ComfyUI-GGUF opens it, and knows the shapes of rows that were cut");
    } else if (original || oneDialect) {
      notes.add(
          start
              + "ComfyUI-GGUF, stable-diffusion.cpp and diffusers (from_single_file with"
              + " GGUFQuantizationConfig) open it");
    } else {
      notes.add(
          start
              + "diffusers opens it (from_single_file with GGUFQuantizationConfig and config=);"
              + " ComfyUI-GGUF and stable-diffusion.cpp want --names original");
    }
  }
}
