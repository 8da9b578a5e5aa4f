package dev.nibble.converter;

import dev.nibble.formats.quant.QuantSchemes;
import java.io.IOException;
import java.nio.file.Path;

/// The README's example; {@link ReadmeExampleTest} runs it and compares the text.
final class ReadmeExample {
  private ReadmeExample() {}

  static ConversionReport quantize(Path model, Path output) throws IOException {
    // README begins
    Converter converter = new Converter();
    ConversionPlan plan =
        converter.plan(
            ConversionRequest.builder(model)
                .scheme(QuantSchemes.parse("nf4"))
                .skip("img_mod")
                .output(output)
                .build());

    Cancellation cancellation = new Cancellation(); // cancel() from any thread
    ConversionReport report =
        converter.run(
            plan,
            (tensor, doneBytes, totalBytes) -> System.out.println(doneBytes + "/" + totalBytes),
            cancellation);
    // README ends
    return report;
  }
}
