package dev.nibble.converter;

import dev.nibble.formats.CheckpointFile;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Everything that a conversion will do, decided from headers and configuration alone. Holds no
/// file open.
///
/// @param request what was asked
/// @param sources the files of the source
/// @param family name of the model family, or `unknown`
/// @param tensors what happens to each tensor, in source order
/// @param target the file or directory to write
/// @param directory whether the target is a directory
/// @param baseName what the target's weight files are called, without ending and shard number:
///   `diffusion_pytorch_model`, `model`, or the stem of a single file
/// @param configuration the target's `config.json`, for a directory that has one
/// @param copied other files of the source directory to copy, by name in the target
/// @param gguf what a GGUF file says besides its tensors; empty for safetensors
/// @param matches how many modules each `--skip`, `--only` and scheme pattern matched
/// @param notes lines that the user should read: what opens the output, what was guessed
public record ConversionPlan(
    ConversionRequest request,
    List<CheckpointFile> sources,
    String family,
    List<TensorPlan> tensors,
    Path target,
    boolean directory,
    String baseName,
    Optional<String> configuration,
    Map<String, Path> copied,
    Optional<GgufFile> gguf,
    Map<String, Integer> matches,
    List<String> notes) {
  public ConversionPlan {
    sources = List.copyOf(sources);
    tensors = List.copyOf(tensors);
    notes = List.copyOf(notes);
  }

  public long bytesIn() {
    return tensors.stream().mapToLong(tensor -> tensor.source().byteSize()).sum();
  }

  public long bytesOut() {
    return tensors.stream().mapToLong(TensorPlan::bytesOut).sum();
  }
}
