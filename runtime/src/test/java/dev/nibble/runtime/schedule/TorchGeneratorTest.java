package dev.nibble.runtime.schedule;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import dev.nibble.runtime.Goldens;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

class TorchGeneratorTest {
  private static final String FIRST = ".first";

  @TestFactory
  Stream<DynamicTest> drawsWhatTorchDraws() throws Exception {
    Goldens.File goldens = Goldens.tensors("goldens/noise/torch_cpu_randn.safetensors");
    return goldens.tensors().keySet().stream()
        .filter(name -> name.endsWith(FIRST))
        .map(name -> name.substring(0, name.length() - FIRST.length()))
        .map(name -> DynamicTest.dynamicTest(name, () -> drawsTwice(name, goldens)));
  }

  private static void drawsTwice(String name, Goldens.File goldens) {
    var generator = new TorchGenerator(Long.parseLong(name.substring(0, name.indexOf('.'))));
    for (String draw : new String[] {FIRST, ".second"}) {
      float[] expected = goldens.values(name + draw);
      assertArrayEquals(expected, generator.normal(expected.length), 1e-6f, draw);
    }
  }
}
