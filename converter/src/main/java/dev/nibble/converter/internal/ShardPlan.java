package dev.nibble.converter.internal;

import dev.nibble.converter.GgufFile;
import dev.nibble.converter.SourceTensor;
import dev.nibble.converter.TensorPlan;
import dev.nibble.formats.CheckpointWriter;
import dev.nibble.formats.Shape;
import dev.nibble.formats.gguf.GgufLayout;
import dev.nibble.formats.gguf.GgufValue;
import dev.nibble.formats.gguf.GgufWriter;
import dev.nibble.formats.quant.GgmlBlock;
import dev.nibble.formats.quant.ggml.GgmlType;
import dev.nibble.formats.quant.storage.StoredTensor;
import dev.nibble.formats.safetensors.LateTensor;
import dev.nibble.formats.safetensors.SafetensorsLayout;
import dev.nibble.formats.safetensors.SafetensorsWriter;
import dev.nibble.formats.safetensors.TensorSpec;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// One output file with the layout of its bytes.
record ShardPlan(OutputFile file, FileLayout layout) {
  /// Where everything goes in a file.
  sealed interface FileLayout {
    /// Most bytes that the file can have.
    long maxFileSize();

    /// Creates the file. The caller closes.
    CheckpointWriter create(Path file, Path shown) throws IOException;
  }

  private record Safetensors(SafetensorsLayout plan) implements FileLayout {
    @Override
    public long maxFileSize() {
      return plan.maxFileSize();
    }

    @Override
    public CheckpointWriter create(Path file, Path shown) throws IOException {
      return SafetensorsWriter.create(file, plan, shown);
    }
  }

  private record Gguf(GgufLayout plan) implements FileLayout {
    @Override
    public long maxFileSize() {
      return plan.fileSize();
    }

    @Override
    public CheckpointWriter create(Path file, Path shown) throws IOException {
      return GgufWriter.create(file, plan, shown);
    }
  }

  static ShardPlan of(OutputFile file, Map<String, String> metadata) {
    List<TensorSpec> fixed = new ArrayList<>();
    List<LateTensor> late = new ArrayList<>();
    for (TensorPlan tensor : file.tensors()) {
      switch (tensor) {
        case TensorPlan.Keep keep ->
            fixed.add(
                new TensorSpec(keep.source().name(), keep.source().dtype(), keep.source().shape()));
        case TensorPlan.Cast cast ->
            fixed.add(new TensorSpec(cast.source().name(), cast.target(), cast.source().shape()));
        case TensorPlan.Rescale scaled ->
            fixed.add(
                new TensorSpec(scaled.source().name(), scaled.target(), scaled.source().shape()));
        case TensorPlan.Quantize quantize ->
            quantize.stored().forEach(stored -> add(stored, fixed, late));
      }
    }
    return new ShardPlan(file, new Safetensors(SafetensorsLayout.plan(fixed, late, metadata)));
  }

  /// A GGUF file.
  ///
  /// @param metadata what the run adds to the plan's
  static ShardPlan gguf(OutputFile file, GgufFile plan, Map<String, GgufValue> metadata) {
    Map<String, GgufValue> all = new LinkedHashMap<>(plan.metadata());
    all.putAll(metadata);
    List<GgufLayout.Spec> specs = new ArrayList<>();
    for (TensorPlan tensor : file.tensors()) {
      GgmlType type =
          switch (tensor) {
            case TensorPlan.Keep keep -> GgmlType.of(keep.source().dtype()).orElseThrow();
            case TensorPlan.Cast cast -> GgmlType.of(cast.target()).orElseThrow();
            case TensorPlan.Rescale _ -> throw new AssertionError("no scales in a GGUF file");
            case TensorPlan.Quantize quantize -> ((GgmlBlock) quantize.quantScheme()).type();
          };
      SourceTensor source = tensor.source();
      Shape shape = plan.cut().getOrDefault(source.name(), source.shape());
      specs.add(new GgufLayout.Spec(source.name(), type, shape));
    }
    return new ShardPlan(file, new Gguf(GgufLayout.plan(specs, all)));
  }

  private static void add(StoredTensor stored, List<TensorSpec> fixed, List<LateTensor> late) {
    switch (stored.content()) {
      case StoredTensor.PartContent part ->
          fixed.add(new TensorSpec(stored.name(), part.dtype(), part.shape()));
      case StoredTensor.Constant constant ->
          fixed.add(new TensorSpec(stored.name(), constant.dtype(), constant.shape()));
      case StoredTensor.Document document ->
          late.add(new LateTensor(stored.name(), document.maxLength()));
    }
  }

  /// Names of the tensors in this file.
  List<String> tensorNames() {
    List<String> names = new ArrayList<>();
    for (TensorPlan tensor : file.tensors()) {
      switch (tensor) {
        case TensorPlan.Keep keep -> names.add(keep.source().name());
        case TensorPlan.Cast cast -> names.add(cast.source().name());
        case TensorPlan.Rescale scaled -> names.add(scaled.source().name());
        case TensorPlan.Quantize quantize ->
            quantize.stored().forEach(stored -> names.add(stored.name()));
      }
    }
    return names;
  }
}
