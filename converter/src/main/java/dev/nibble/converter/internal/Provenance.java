package dev.nibble.converter.internal;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.nibble.converter.ConversionPlan;
import dev.nibble.converter.ConversionRequest;
import dev.nibble.converter.SchemeRule;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.Checkpoint;
import dev.nibble.formats.CheckpointFile;
import dev.nibble.formats.gguf.GgufCheckpoint;
import dev.nibble.formats.gguf.GgufValue;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.ComfyStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SequencedMap;

/// What an output file says about its origin, under the metadata key `nibble`: tool, version,
/// options, the sources' names, sizes and hashes, and what was done to each tensor. No time, host,
/// path or thread count: equal inputs and options give equal bytes.
public final class Provenance {
  /// Metadata key of the record.
  public static final String KEY = "nibble";

  private static final long HASH_CHUNK = 1L << 26;
  private static final ObjectMapper JSON = new ObjectMapper();

  private final ConversionPlan plan;
  private final List<SourceHash> sources;

  private record SourceHash(String name, long size, String header, String whole) {}

  private Provenance(ConversionPlan plan, List<SourceHash> sources) {
    this.plan = plan;
    this.sources = sources;
  }

  /// Hashes the headers of the source files, and the whole files if the request asks for it.
  public static Provenance of(ConversionPlan plan, Checkpoint source) {
    List<SourceHash> hashes = new ArrayList<>();
    for (CheckpointFile file : source.files()) {
      MemorySegment bytes = source.bytes(file);
      hashes.add(
          new SourceHash(
              String.valueOf(file.path().getFileName()),
              file.size(),
              sha256(bytes.asSlice(0, file.headerSize())),
              plan.request().hashSource() ? sha256(bytes) : ""));
    }
    return new Provenance(plan, hashes);
  }

  /// The metadata of a source that its outputs keep. That of a GGUF file is about its own types and
  /// tokens.
  static Map<String, String> kept(Checkpoint source) {
    return source instanceof GgufCheckpoint ? Map.of() : source.metadata();
  }

  /// What a GGUF file says of its origin.
  Map<String, GgufValue> ggufMetadata(OutputFile file) throws IOException {
    return Map.of(KEY, GgufValue.text(JSON.writeValueAsString(record(file))));
  }

  /// The metadata of one output file: the source's own, `format` (which loaders insist on), and the
  /// record of the tensors in this file.
  public Map<String, String> metadata(Map<String, String> source, OutputFile file)
      throws IOException {
    Map<String, String> metadata = new LinkedHashMap<>(source);
    if (plan.tensors().stream().anyMatch(tensor -> tensor.source().quantized())) {
      metadata.remove(ComfyStorage.METADATA); // the output holds them otherwise
    }
    metadata.putIfAbsent("format", "pt");
    weights(file.tensors())
        .forEach((storage, weights) -> metadata.putAll(storage.metadata(weights)));
    metadata.put(KEY, JSON.writeValueAsString(record(file)));
    return metadata;
  }

  /// The quantized weights of each storage.
  private static Map<QuantStorage, SequencedMap<String, QuantScheme>> weights(
      List<TensorPlan> tensors) {
    Map<QuantStorage, SequencedMap<String, QuantScheme>> weights = new LinkedHashMap<>();
    for (TensorPlan tensor : tensors) {
      if (tensor instanceof TensorPlan.Quantize weight) {
        weights
            .computeIfAbsent(weight.storage(), _ -> new LinkedHashMap<>())
            .put(weight.source().name(), weight.quantScheme());
      }
    }
    return weights;
  }

  private ObjectNode record(OutputFile file) {
    ConversionRequest request = plan.request();
    ObjectNode record = JsonNodeFactory.instance.objectNode();
    record.put("tool", "nibble").put("version", Version.current());
    ObjectNode options = record.putObject("options");
    for (SchemeRule rule : request.schemes()) {
      options.withArray("schemes").add(rule.pattern() + "=" + rule.scheme().id());
    }
    request.gguf().ifPresent(mix -> options.put("gguf", mix.name()));
    request.imatrix().ifPresent(path -> options.put("imatrix", String.valueOf(path.getFileName())));
    request.calibration().ifPresent(how -> options.put("calibration", how.label()));
    request.storage().ifPresent(storage -> options.put("format", storage.id()));
    request.skip().forEach(options.putArray("skip")::add);
    request.only().forEach(options.putArray("only")::add);
    options.put("keep_sensitive", request.keepSensitive()).put("family", plan.family());
    request.names().ifPresent(names -> options.put("names", names.optionName()));
    request.keptDtype().ifPresent(dtype -> options.put("dtype", dtype.name()));
    request.computeDtype().ifPresent(dtype -> options.put("compute_dtype", dtype.name()));
    options.put("allow_non_finite", request.allowNonFinite());
    if (request.allowRequantize()) {
      options.put("allow_requantize", true);
    }
    for (SourceHash source : sources) {
      ObjectNode entry = record.withArray("sources").addObject();
      entry.put("name", source.name()).put("size", source.size());
      entry.put("header_sha256", source.header());
      if (!source.whole().isEmpty()) {
        entry.put("sha256", source.whole());
      }
    }
    ObjectNode tensors = record.putObject("tensors");
    for (TensorPlan tensor : file.tensors()) {
      tensors.put(tensor.source().name(), tensor.scheme() + ": " + tensor.reason());
    }
    return record;
  }

  private static String sha256(MemorySegment bytes) {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      for (long at = 0; at < bytes.byteSize(); at += HASH_CHUNK) {
        ByteBuffer chunk =
            bytes.asSlice(at, Math.min(HASH_CHUNK, bytes.byteSize() - at)).asByteBuffer();
        digest.update(chunk);
      }
      return HexFormat.of().formatHex(digest.digest());
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java platform has SHA-256", e);
    }
  }
}
