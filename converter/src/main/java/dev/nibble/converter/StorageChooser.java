package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.Shape;
import dev.nibble.formats.Text;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.AwqStorage;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.ComfyStorage;
import dev.nibble.formats.quant.storage.CompressedTensorsStorage;
import dev.nibble.formats.quant.storage.GptqStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.QuantStorages;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/// Chooses the storage of the weights.
///
/// A directory is described by one `quantization_config`, so it has one storage for all. What
/// bitsandbytes' own loaders do with a mix was tried (diffusers 0.40, transformers 5.18): NF4 and
/// FP4, block sizes and double quantization may differ from weight to weight, since each weight's
/// `quant_state` says its own and the configuration's are only defaults; 4-bit and 8-bit may not,
/// since the configuration says which class every layer becomes. A single file has no such
/// configuration: each weight has the storage of its scheme.
final class StorageChooser {
  private final Optional<QuantStorage> requested;

  /// @param requested the storage that was asked for
  StorageChooser(Optional<QuantStorage> requested) {
    this.requested = requested;
  }

  private static final String CURE =
      "; a single file can hold the mix (-o X.safetensors), which nibble opens";

  /// The storage of one weight in a single file.
  ///
  /// @throws ConversionException if the one that was asked for can't store it
  QuantStorage forWeight(Decision.Quantize weight) {
    QuantScheme scheme = weight.scheme();
    Shape shape = weight.tensor().shape();
    if (requested.isEmpty()) {
      return QuantStorages.choose(scheme, shape);
    }
    QuantStorage storage = requested.get();
    if (storage.equals(new GptqStorage(2))) {
      throw new ConversionException(
          "--format gptq_v2: only a config.json tells it from gptq: write a directory");
    }
    requireStored(storage, weight);
    return storage;
  }

  private static void requireStored(QuantStorage storage, Decision.Quantize weight) {
    SourceTensor tensor = weight.tensor();
    QuantScheme scheme = storage.adapt(weight.scheme(), tensor.dtype());
    if (storage.stores(scheme, tensor.shape())) {
      return;
    }
    boolean elsewhere = storage.stores(scheme, Shape.of(4096, 4096));
    throw new ConversionException(
        "--format %s cannot store '%s' %s as %s: %s"
            .formatted(
                storage.id(),
                Text.printable(tensor.name()),
                tensor.shape(),
                weight.scheme().id(),
                elsewhere
                    ? ("its sides do not divide into words and groups: take smaller groups, as in"
                            + " int4:g32, or keep it with --skip '%s'")
                        .formatted(Text.printable(LayerDecisions.module(tensor.name())))
                    : "it has no such scheme"));
  }

  /// The storage of one weight in a directory, if it is for that weight to choose.
  private QuantStorage inDirectory(Decision.Quantize weight) {
    if (requested.isPresent()) {
      requireStored(requested.get(), weight);
      return requested.get();
    }
    QuantStorage storage = QuantStorages.choose(weight.scheme(), weight.tensor().shape());
    if (storage instanceof ComfyStorage) {
      // Its files stand alone; a directory is opened by its configuration.
      QuantStorage described = new CompressedTensorsStorage();
      boolean stores = described.stores(weight.scheme(), weight.tensor().shape());
      return stores ? described : new NibbleStorage();
    }
    return storage;
  }

  /// The one storage of a directory.
  ///
  /// @throws ConversionException if no storage can express the mix
  QuantStorage forDirectory(String model, List<Decision.Quantize> weights) {
    if (requested.isPresent() && requested.get() instanceof ComfyStorage) {
      throw new ConversionException(
          model
              + ": --format %s is of single files: name one with -o X.safetensors"
                  .formatted(requested.get().id()));
    }
    if (requested.isEmpty() && weights.stream().anyMatch(one -> one.scheme().isCalibrated())) {
      return new NibbleStorage(); // which holds the plain weights beside them too
    }
    Set<QuantStorage> storages = new LinkedHashSet<>();
    boolean four = false;
    boolean eight = false;
    for (Decision.Quantize weight : weights) {
      storages.add(inDirectory(weight));
      four |= weight.scheme() instanceof FourBit;
      eight |= weight.scheme() instanceof LlmInt8;
    }
    if (four && eight) {
      throw new ConversionException(
          model
              + ": a bitsandbytes directory is either 4-bit or 8-bit, not "
              + schemes(weights)
              + CURE);
    }
    boolean oneGrid =
        storages.iterator().next() instanceof GptqStorage
            || storages.iterator().next() instanceof AwqStorage;
    if (oneGrid && weights.stream().map(Decision.Quantize::scheme).distinct().count() > 1) {
      throw new ConversionException(
          model + ": a directory of GPTQ or AWQ has one grid, not " + schemes(weights));
    }
    if (storages.size() == 1) {
      return storages.iterator().next();
    }
    if (!storages.contains(new BitsAndBytesStorage())) {
      return new NibbleStorage();
    }
    throw new ConversionException(
        model
            + ": no configuration of a directory can describe "
            + schemes(weights)
            + " together"
            + CURE);
  }

  private static String schemes(List<Decision.Quantize> weights) {
    return weights.stream()
        .map(weight -> weight.scheme().id())
        .distinct()
        .collect(Collectors.joining(" and "));
  }
}
