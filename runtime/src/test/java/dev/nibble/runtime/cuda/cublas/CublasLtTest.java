package dev.nibble.runtime.cuda.cublas;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

class CublasLtTest {
  @Test
  void productsSayWhatTheyAre() {
    Product product = new Product(4352, 10240, 3840, Product.Type.BF16, Product.Type.F32, true);
    assertEquals("[4352, 3840]·[10240, 3840]ᵀ of BF16 to F32 with bias", product.toString());
    assertEquals(2L * 4352 * 10240 * 3840, product.flops());
    assertThrows(
        IllegalArgumentException.class,
        () -> new Product(0, 1, 1, Product.Type.F32, Product.Type.F32, false));
  }
}
