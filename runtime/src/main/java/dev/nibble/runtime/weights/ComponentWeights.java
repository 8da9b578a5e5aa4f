package dev.nibble.runtime.weights;

import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.formats.DType;
import dev.nibble.formats.FormatException;
import dev.nibble.formats.OpenModel;
import dev.nibble.formats.Shape;
import dev.nibble.formats.TensorInfo;
import dev.nibble.formats.diffusers.ActivationRules;
import dev.nibble.formats.internal.simd.FloatReader;
import dev.nibble.formats.quant.ActivationType;
import dev.nibble.formats.quant.Part;
import dev.nibble.formats.quant.QuantizedTensor;
import dev.nibble.formats.quant.SvdQuant;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.LogicalTensor;
import dev.nibble.runtime.tensor.LinearWeight;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.WeightSource;
import dev.nibble.runtime.tensor.WeightStore;
import dev.nibble.runtime.weights.StoredWeights.Stored;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.LongConsumer;
import java.util.stream.Collectors;

/// The weights of one component of a pipeline, from its directory or file. Matrices stay mapped in
/// their stored form, dense or quantized; small parameters are copied. Owns the mapping and the
/// weights made from it: whoever opens it closes it, after the model that uses it.
///
/// Names are those of diffusers' classes; checkpoints with the original names are seen through
/// their family's table. A tensor that is missing or has another shape than the model's
/// configuration wants is a {@link FormatException} that names the file, the tensor and what to do.
public final class ComponentWeights implements AutoCloseable {
  private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

  private final Path path;
  private final OpenModel model;
  private final StoredWeights stored;
  private final WeightStore store;
  private final ActivationRules activations;
  private final Arena converted = Arena.ofShared();
  private LongConsumer onLoad = _ -> {};

  /// The weights of an open model.
  ///
  /// @param path for messages
  /// @param model owned from now on, as is the store
  public ComponentWeights(Path path, OpenModel model, WeightStore store) {
    this.path = path;
    this.model = model;
    this.stored = new StoredWeights(path, model);
    this.store = store;
    this.activations = model.config().map(ActivationRules::of).orElse(ActivationRules.NONE);
  }

  /// Opens a component's directory, safetensors or GGUF file, or shard index.
  ///
  /// @param store takes the weights; closed by this object's `close`, or at once if opening fails
  public static ComponentWeights open(Path path, WeightStore store) throws IOException {
    try {
      OpenModel model = OpenModel.open(path);
      try {
        return new ComponentWeights(path, model, store);
      } catch (Throwable e) {
        model.close();
        throw e;
      }
    } catch (Throwable e) {
      store.close();
      throw e;
    }
  }

  /// The directory or file.
  public Path path() {
    return path;
  }

  /// The `config.json` in the directory or beside the file.
  public Optional<ObjectNode> config() {
    return model.config();
  }

  /// Whether the checkpoint has a tensor, plain or quantized, of this name.
  public boolean has(String name) {
    return stored.find(name).isPresent();
  }

  /// Bytes that the weights hold in memory and in mapped files, in their stored form.
  public long byteSize() {
    return store.byteSize();
  }

  /// Bytes of all weights as the files hold them, whether they are used or not.
  public long storedBytes() {
    return model.tensors().values().stream().mapToLong(StoredWeights::bytes).sum();
  }

  /// Has each weight's bytes, as the file holds them, told after it was loaded. What is told may
  /// throw, which ends the loading.
  public void onLoad(LongConsumer listener) {
    onLoad = listener;
  }

  /// How the matrices are stored, most frequent first, such as `nf4 x 100, bf16 x 4`, and what the
  /// backend remarks.
  public String summary() {
    Map<String, Integer> counts = new TreeMap<>();
    for (LogicalTensor tensor : model.tensors().values()) {
      switch (tensor) {
        case LogicalTensor.Dense(TensorInfo info) -> {
          if (info.shape().rank() >= 2) {
            counts.merge(info.dtype().name().toLowerCase(Locale.ROOT), 1, Integer::sum);
          }
        }
        case LogicalTensor.Quantized quantized ->
            counts.merge(
                quantized.tensor().scheme().id()
                    + activations(quantized)
                        .map(type -> " (inputs " + type.label() + ")")
                        .orElse(""),
                1,
                Integer::sum);
      }
    }
    String stored =
        counts.entrySet().stream()
            .sorted(Map.Entry.<String, Integer>comparingByValue().reversed())
            .map(entry -> entry.getKey() + " x " + entry.getValue())
            .collect(Collectors.joining(", "));
    return store.remarks().isEmpty() ? stored : stored + "; " + store.remarks();
  }

  /// A small parameter in float32.
  public Tensor tensor(String name, long... dims) {
    Stored weight = expect(name, dims);
    Tensor tensor = store.tensor(stored.floats(weight), dims);
    onLoad.accept(weight.bytes());
    return tensor;
  }

  /// A small parameter, if the checkpoint has it.
  public Optional<Tensor> optionalTensor(String name, long... dims) {
    return has(name) ? Optional.of(tensor(name, dims)) : Optional.empty();
  }

  /// The weight of a linear layer, `[out, in]`, with what the checkpoint sets around it.
  public LayerWeight layer(String name, long out, long in) {
    Stored found = expect(name, out, in);
    WeightSource source = stored.source(found);
    LayerWeight weight =
        source instanceof WeightSource.Quantized(QuantizedTensor tensor)
                && tensor.scheme() instanceof SvdQuant scheme
            ? branched(name, scheme, tensor)
            : new LayerWeight(
                store.linear(name, source),
                Optional.empty(),
                Optional.empty(),
                activations(found.tensor()));
    onLoad.accept(found.bytes());
    return weight;
  }

  /// The residual in its own scheme, which kernels read, and the branch dense.
  private LayerWeight branched(String name, SvdQuant scheme, QuantizedTensor tensor) {
    LinearWeight residual = store.linear(name, new WeightSource.Quantized(scheme.residual(tensor)));
    Optional<LowRankBranch> branch =
        scheme.rank() == 0
            ? Optional.empty()
            : Optional.of(
                new LowRankBranch(
                    factor(name, tensor, Part.LOW_RANK_DOWN, scheme.rank(), tensor.shape().dim(1)),
                    factor(name, tensor, Part.LOW_RANK_UP, tensor.shape().dim(0), scheme.rank())));
    return new LayerWeight(residual, inputFactor(tensor), branch, Optional.empty());
  }

  private LinearWeight factor(
      String name, QuantizedTensor tensor, Part part, long rows, long columns) {
    return store.linear(
        name + " (" + part + ")",
        new WeightSource.Dense(tensor.part(part), DType.BF16, Shape.of(rows, columns)));
  }

  /// Empty where it would change nothing.
  private Optional<Tensor> inputFactor(QuantizedTensor tensor) {
    float[] factor = new float[Math.toIntExact(tensor.shape().dim(1))];
    FloatReader.of(DType.F32).read(tensor.part(Part.INPUT_SCALE), 0, factor, factor.length);
    boolean isOne = true;
    for (int i = 0; i < factor.length; i++) {
      isOne &= factor[i] == 1;
      factor[i] = 1 / factor[i];
    }
    return isOne ? Optional.empty() : Optional.of(store.tensor(factor, factor.length));
  }

  /// What a layer's inputs are rounded to, by the name that its file has for it.
  private Optional<ActivationType> activations(LogicalTensor tensor) {
    return tensor instanceof LogicalTensor.Quantized weight
            && weight.storage() instanceof CompressedTensorsStorage
        ? activations.of(weight.name().substring(0, weight.name().lastIndexOf('.')))
        : Optional.empty();
  }

  /// A matrix as one, whatever stands beside it in the checkpoint: the table of an embedding.
  public LinearWeight linear(String name, long out, long in) {
    Stored stored = expect(name, out, in);
    LinearWeight weight = store.linear(name, this.stored.source(stored));
    onLoad.accept(stored.bytes());
    return weight;
  }

  /// The weight of a convolution, stored `[out, in, kernel, kernel]`, as the matrix `[out,
  /// kernel·kernel·in]` of {@link dev.nibble.runtime.tensor.Ops#conv2d}. Held in float32.
  public LinearWeight conv2d(String name, int out, int in, int kernel) {
    Stored stored = expect(name, out, in, kernel, kernel);
    float[] values = this.stored.floats(stored);
    int taps = kernel * kernel;
    MemorySegment matrix = converted.allocate(4L * values.length, 64);
    long at = 0;
    for (int o = 0; o < out; o++) {
      for (int tap = 0; tap < taps; tap++) {
        for (int i = 0; i < in; i++, at += 4) {
          matrix.set(FLOAT, at, values[(o * in + i) * taps + tap]);
        }
      }
    }
    LinearWeight weight =
        store.linear(
            name, new WeightSource.Dense(matrix, DType.F32, Shape.of(out, (long) taps * in)));
    onLoad.accept(stored.bytes());
    return weight;
  }

  private Stored expect(String name, long... dims) {
    Stored tensor =
        stored
            .find(name)
            .orElseThrow(() ->
                new FormatException(
                    FormatException.Where.in(path).tensor(name),
                    "a weight of shape " + Shape.of(dims),
                    "none: this is another model's checkpoint, or a part of one; name the right"
                        + " directory or fetch it again"));
    if (!tensor.shape().equals(Shape.of(dims))) {
      throw new FormatException(
          FormatException.Where.in(path).tensor(name),
          "shape " + Shape.of(dims) + " after config.json",
          tensor.shape()
              + ": the weights are another model's; name the right directory or fetch it again");
    }
    return tensor;
  }

  @Override
  public void close() {
    store.close();
    converted.close();
    model.close();
  }
}
