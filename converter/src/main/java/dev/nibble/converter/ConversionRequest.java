package dev.nibble.converter;

import dev.nibble.formats.DType;
import dev.nibble.formats.model.ModelFamily.Dialect;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// What to convert, and how. Immutable; made with {@link #builder}.
///
/// @param source a safetensors file, a `*.safetensors.index.json`, or a model directory
/// @param config the model's `config.json` when it does not lie beside the source
/// @param output where to write; empty: beside the source, named after it and the scheme
/// @param form whether the output is a file or a directory
/// @param schemes the scheme of each weight; the first usually has the pattern `*`. Schemes of
///   ggml's types make a GGUF file. Empty where only names are to change, and for a pipeline whose
///   components have schemes of their own
/// @param gguf the mix of types of a GGUF file, which goes before the scheme of the pattern `*`;
///   one of the plain types makes a file in which nothing is quantized but what schemes name
/// @param imatrix an importance matrix, for a GGUF file
/// @param calibration statistics that help, and how; not for a GGUF file
/// @param storage how weights are stored; empty: as most tools open them. Not for a GGUF file
/// @param skip patterns of modules to keep as they are, which beat the schemes
/// @param only patterns of the only modules to quantize; empty for all
/// @param keepSensitive also keep the layers that the family lists as losing most
/// @param family id of the model family; empty: recognised by the tensor names
/// @param names the names that the output's tensors have; empty: a directory those that its loader
///   knows, a file those of the source
/// @param keptDtype cast float tensors that are not quantized to this type (BF16 only so far)
/// @param computeDtype the type that loaders shall compute in, for the configuration
/// @param allowNonFinite quantize weights that hold NaN or infinity
/// @param allowRequantize decode a source that is quantized already, and quantize it anew
/// @param maxShardBytes largest shard of a directory
/// @param force replace an output that exists
/// @param hashSource put the SHA-256 of whole source files into the provenance
/// @param threads worker threads
/// @param memoryBytes bound on the memory held for conversion buffers
public record ConversionRequest(
    Path source,
    Optional<Path> config,
    Optional<Path> output,
    OutputForm form,
    List<SchemeRule> schemes,
    Optional<GgufMix> gguf,
    Optional<Path> imatrix,
    Optional<Calibration> calibration,
    Optional<QuantStorage> storage,
    List<String> skip,
    List<String> only,
    boolean keepSensitive,
    Optional<String> family,
    Optional<Dialect> names,
    Optional<DType> keptDtype,
    Optional<DType> computeDtype,
    boolean allowNonFinite,
    boolean allowRequantize,
    long maxShardBytes,
    boolean force,
    boolean hashSource,
    int threads,
    long memoryBytes) {

  /// Largest shard by default, as diffusers writes them: 10 GB.
  public static final long DEFAULT_SHARD_BYTES = 10_000_000_000L;

  /// Memory for conversion buffers by default.
  public static final long DEFAULT_MEMORY_BYTES = 384L << 20;

  /// The form of the output.
  public enum OutputForm {
    /// A directory where the source is one or a configuration is known, else a file.
    AUTO,
    FILE,
    DIRECTORY
  }

  public ConversionRequest {
    schemes = List.copyOf(schemes);
    skip = List.copyOf(skip);
    only = List.copyOf(only);
    if (names.filter(Dialect.NONE::equals).isPresent()) {
      throw new IllegalArgumentException("names of no dialect");
    }
    if (threads < 1 || memoryBytes < 1 || maxShardBytes < 1) {
      throw new IllegalArgumentException("threads, memory and shard size are positive");
    }
  }

  /// Whether the output is a GGUF file.
  public boolean writesGguf() {
    return gguf.isPresent() || quantizesToGgml();
  }

  /// Whether weights become blocks of ggml's quantized types.
  boolean quantizesToGgml() {
    return schemes.stream().anyMatch(rule -> rule.scheme() instanceof GgmlBlock);
  }

  /// The request for a part of this one's source.
  ///
  /// @param part the directory of a component
  /// @param place where its output goes: a directory
  /// @param format how its weights are stored
  /// @param statistics if they are of this part
  ConversionRequest forPart(
      Path part,
      Path place,
      List<SchemeRule> rules,
      Optional<QuantStorage> format,
      Optional<Calibration> statistics) {
    return new ConversionRequest(
        part,
        Optional.empty(),
        Optional.of(place),
        OutputForm.DIRECTORY,
        rules,
        gguf,
        imatrix,
        statistics,
        format,
        skip,
        only,
        keepSensitive,
        Optional.empty(),
        names,
        keptDtype,
        computeDtype,
        allowNonFinite,
        allowRequantize,
        maxShardBytes,
        force,
        hashSource,
        threads,
        memoryBytes);
  }

  public static Builder builder(Path source) {
    return new Builder(source);
  }

  /// Collects the options; every one has the default that the command line has.
  public static final class Builder {
    private final Path source;
    private Optional<Path> config = Optional.empty();
    private Optional<Path> output = Optional.empty();
    private OutputForm form = OutputForm.AUTO;
    private List<SchemeRule> schemes = List.of();
    private Optional<GgufMix> gguf = Optional.empty();
    private Optional<Path> imatrix = Optional.empty();
    private Optional<Calibration> calibration = Optional.empty();
    private Optional<QuantStorage> storage = Optional.empty();
    private List<String> skip = List.of();
    private List<String> only = List.of();
    private boolean keepSensitive;
    private Optional<String> family = Optional.empty();
    private Optional<Dialect> names = Optional.empty();
    private Optional<DType> keptDtype = Optional.empty();
    private Optional<DType> computeDtype = Optional.empty();
    private boolean allowNonFinite;
    private boolean allowRequantize;
    private long maxShardBytes = DEFAULT_SHARD_BYTES;
    private boolean force;
    private boolean hashSource;
    private int threads = Runtime.getRuntime().availableProcessors();
    private long memoryBytes = DEFAULT_MEMORY_BYTES;

    private Builder(Path source) {
      this.source = source;
    }

    public Builder config(Path path) {
      config = Optional.of(path);
      return this;
    }

    public Builder output(Path path) {
      output = Optional.of(path);
      return this;
    }

    public Builder form(OutputForm wanted) {
      form = wanted;
      return this;
    }

    public Builder schemes(List<SchemeRule> rules) {
      schemes = rules;
      return this;
    }

    /// One scheme for every weight.
    public Builder scheme(QuantScheme scheme) {
      return schemes(List.of(new SchemeRule("*", scheme)));
    }

    /// A GGUF file with a mix of types, which becomes the scheme of every module unless it is one
    /// of the plain types.
    public Builder gguf(GgufMix mix) {
      gguf = Optional.of(mix);
      if (mix.plain().isPresent()) {
        return this;
      }
      List<SchemeRule> rules = new ArrayList<>(schemes);
      rules.addFirst(new SchemeRule("*", new GgmlBlock(mix.base())));
      schemes = rules;
      return this;
    }

    public Builder imatrix(Path path) {
      imatrix = Optional.of(path);
      return this;
    }

    public Builder calibration(Calibration how) {
      calibration = Optional.of(how);
      return this;
    }

    public Builder storage(QuantStorage wanted) {
      storage = Optional.of(wanted);
      return this;
    }

    public Builder skip(List<String> patterns) {
      skip = patterns;
      return this;
    }

    public Builder skip(String... patterns) {
      return skip(List.of(patterns));
    }

    public Builder only(List<String> patterns) {
      only = patterns;
      return this;
    }

    public Builder keepSensitive(boolean keep) {
      keepSensitive = keep;
      return this;
    }

    public Builder family(String id) {
      family = Optional.of(id);
      return this;
    }

    public Builder names(Dialect dialect) {
      names = Optional.of(dialect);
      return this;
    }

    public Builder keptDtype(DType dtype) {
      keptDtype = Optional.of(dtype);
      return this;
    }

    public Builder computeDtype(DType dtype) {
      computeDtype = Optional.of(dtype);
      return this;
    }

    public Builder allowNonFinite(boolean allow) {
      allowNonFinite = allow;
      return this;
    }

    public Builder allowRequantize(boolean allow) {
      allowRequantize = allow;
      return this;
    }

    public Builder maxShardBytes(long bytes) {
      maxShardBytes = bytes;
      return this;
    }

    public Builder force(boolean replace) {
      force = replace;
      return this;
    }

    public Builder hashSource(boolean hash) {
      hashSource = hash;
      return this;
    }

    public Builder threads(int count) {
      threads = count;
      return this;
    }

    public Builder memoryBytes(long bytes) {
      memoryBytes = bytes;
      return this;
    }

    public ConversionRequest build() {
      return new ConversionRequest(
          source,
          config,
          output,
          form,
          schemes,
          gguf,
          imatrix,
          calibration,
          storage,
          skip,
          only,
          keepSensitive,
          family,
          names,
          keptDtype,
          computeDtype,
          allowNonFinite,
          allowRequantize,
          maxShardBytes,
          force,
          hashSource,
          threads,
          memoryBytes);
    }
  }
}
