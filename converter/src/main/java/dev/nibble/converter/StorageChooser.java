package dev.nibble.converter;

import dev.nibble.converter.LayerDecisions.Decision;
import dev.nibble.formats.Shape;
import dev.nibble.formats.quant.FourBit;
import dev.nibble.formats.quant.LlmInt8;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.BitsAndBytesStorage;
import dev.nibble.formats.quant.storage.NibbleStorage;
import dev.nibble.formats.quant.storage.QuantStorage;
import dev.nibble.formats.quant.storage.QuantStorages;
import java.util.LinkedHashSet;
import java.util.List;
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
  private static final String CURE =
      "; a single file can hold the mix (-o X.safetensors), which nibble opens";

  /// The storage of one weight in a single file.
  QuantStorage forWeight(QuantScheme scheme, Shape shape) {
    return QuantStorages.choose(scheme, shape);
  }

  /// The one storage of a directory.
  ///
  /// @throws ConversionException if no storage can express the mix
  QuantStorage forDirectory(String model, List<Decision.Quantize> weights) {
    Set<QuantStorage> storages = new LinkedHashSet<>();
    boolean four = false;
    boolean eight = false;
    for (Decision.Quantize weight : weights) {
      storages.add(forWeight(weight.scheme(), weight.tensor().shape()));
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
