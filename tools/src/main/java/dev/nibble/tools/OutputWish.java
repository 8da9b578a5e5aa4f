package dev.nibble.tools;

import dev.nibble.converter.GgufMix;
import dev.nibble.converter.SchemeRule;
import dev.nibble.formats.quant.QuantScheme;
import dev.nibble.formats.quant.storage.QuantStorage;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// What the command line asks for one output.
///
/// @param rules schemes, that for all modules first; empty if there are only components
/// @param storage how weights are stored
/// @param gguf the mix of a GGUF file
/// @param imatrix its importance matrix
/// @param components schemes of components by name; empty: keep
/// @param componentStorages how the weights of components are stored, by name
/// @param output as typed
record OutputWish(
    List<SchemeRule> rules,
    Optional<QuantStorage> storage,
    Optional<GgufMix> gguf,
    Optional<Path> imatrix,
    Map<String, Optional<QuantScheme>> components,
    Map<String, QuantStorage> componentStorages,
    Optional<String> output) {}
