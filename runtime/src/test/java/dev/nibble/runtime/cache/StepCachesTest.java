package dev.nibble.runtime.cache;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.formats.FormatException;
import dev.nibble.runtime.cache.DbCache.Forecast;
import dev.nibble.runtime.cache.DbCache.Limits;
import dev.nibble.runtime.cache.DbCache.Mask;
import dev.nibble.runtime.cache.DbCache.Measure;
import dev.nibble.runtime.cache.DbCache.Refresh;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class StepCachesTest {
  private static final DbCache EVERYTHING =
      new DbCache(
          1,
          2,
          0.125,
          new Limits(4, 2, OptionalInt.of(9), OptionalInt.of(3), OptionalDouble.of(1.5)),
          new Measure(0.01, 4),
          Optional.of(new Mask(StepMask.Preset.FAST, true)),
          true,
          Optional.of(new Refresh(7, true)),
          Optional.of(new Forecast(new TaylorSeer(2), true)));

  @ParameterizedTest
  @ValueSource(
      strings = {
        "none",
        "fbcache:threshold=0.08",
        "fbcache:threshold=0.08,warmup=4",
        "dbcache:F=1,B=0,threshold=0.08,warmup=0",
        "dbcache:F=8,B=0,threshold=0.08,warmup=8,mask=111101,mask_policy=dynamic",
        "dbcache:F=1,B=0,threshold=0.24,warmup=4,max_continuous=6,taylorseer=1,predict=residual",
        "dbcache:F=1,B=0,threshold=0.24,warmup=4,foca=1,predict=residual",
        "dbcache:F=1,B=0,threshold=0.24,warmup=4,dmd=6,predict=hidden",
        "dbcache:F=1,B=0,threshold=0.1,warmup=0,refresh=25,refresh_policy=once",
        "teacache:threshold=0.2,coefficients=qwen-image",
        "teacache:threshold=0.2,coefficients=1:2.5:-3:1.0E-5:0",
        "fora:N=3",
        "taylorseer:interval=5,order=1,before=3,modules=attention",
        "taylorseer:interval=4,order=2,before=3,after=18,modules=all",
        "magcache:ratios=1:0.98:0.97,threshold=0.06,max_skips=3,retention=0.2",
        "magcache:ratios=flux,threshold=0.06,max_skips=3,retention=0.2",
      })
  void specIsWhatWasParsed(String spec) throws IOException {
    assertEquals(spec, StepCaches.parse(spec).spec());
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "fbcache|fbcache:threshold=0.05",
        "dbcache|dbcache:F=8,B=0,threshold=0.08,warmup=8",
        "teacache|teacache:threshold=0.2,coefficients=qwen-image",
        "fora|fora:N=3",
        "taylorseer|taylorseer:interval=5,order=1,before=3,modules=attention",
        " fora : N = 4 |fora:N=4",
      })
  void whatIsNotGivenIsAsThePeersHaveIt(String spec, String whole) throws IOException {
    assertEquals(whole, StepCaches.parse(spec).spec());
  }

  @Test
  void everyParameterComesBack() throws IOException {
    assertEquals(EVERYTHING, StepCaches.parse(EVERYTHING.spec()));
  }

  /// Each rule that the goldens were made with.
  @ParameterizedTest
  @MethodSource("goldens")
  void goldenRulesComeBack(StepCache rule) throws IOException {
    assertEquals(rule, StepCaches.parse(rule.spec()));
  }

  static Stream<StepCache> goldens() {
    return Stream.concat(CacheGoldens.cases("models"), CacheGoldens.cases("policy"))
        .map(CacheGoldens::rule)
        .distinct();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '"',
      value = {
        "speed|cache 'speed': there is no rule 'speed'; there are none, fbcache, dbcache, teacache,"
            + " fora, taylorseer, magcache",
        "fora:M=3|cache 'fora:M=3': fora has no parameter 'M'; it takes N",
        "fbcache:F=1|cache 'fbcache:F=1': fbcache has no parameter 'F'; it takes threshold, warmup",
        "none:x=1|cache 'none:x=1': none takes no parameters",
        "fora:N=3.5|cache 'fora:N=3.5': N must be a whole number, not '3.5'",
        "fora:N=0|cache 'fora:N=0': N must be 1 or more, not 0",
        "fora:N=1,N=2|cache 'fora:N=1,N=2': N is given twice",
        "fora:|cache 'fora:': nothing follows the colon",
        "fora:N|cache 'fora:N': 'N' is not of the form key=value",
        "fbcache:threshold=high|cache 'fbcache:threshold=high': threshold must be a number, not"
            + " 'high'",
        "fbcache:threshold=NaN|cache 'fbcache:threshold=NaN': threshold must be a number, not"
            + " 'NaN'",
        "fbcache:threshold=-1|cache 'fbcache:threshold=-1': threshold must be 0 or more, not -1",
        "dbcache:mask=quick|cache 'dbcache:mask=quick': a mask is slow, medium, fast, ultra, or a 1"
            + " (compute) or 0 (may reuse) for each step, not 'quick'",
        "dbcache:mask=1,mask_policy=x|cache 'dbcache:mask=1,mask_policy=x': mask_policy must be"
            + " dynamic or static, not 'x'",
        "dbcache:foca=1,dmd=6|cache 'dbcache:foca=1,dmd=6': taylorseer, foca and dmd exclude one"
            + " another",
        "teacache:coefficients=1:2|cache 'teacache:coefficients=1:2': TeaCache takes five"
            + " coefficients, of the powers 4 to 0, not [1.0, 2.0]",
        "magcache|cache 'magcache': magcache needs ratios=.., of the model at hand: a JSON file or"
            + " numbers with colons between",
        "magcache:ratios=no.json|cache 'magcache:ratios=no.json': ratios must be one of flux,"
            + " numbers with colons between, or a JSON file; there is no file 'no.json'",
        "taylorseer:before=0|cache 'taylorseer:before=0': before must be 1 or more, not 0",
      })
  void whatCannotBeIsRefusedInOneLine(String spec, String message) {
    assertEquals(
        message,
        assertThrows(IllegalArgumentException.class, () -> StepCaches.parse(spec)).getMessage());
  }

  @Test
  void numbersComeFromFiles(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("a.json"), "{\"coefficients\": [0, 0, 1, 2, 3]}");
    TeaCache cache = (TeaCache) StepCaches.parse("teacache:threshold=0.1,coefficients=" + file);
    assertEquals(List.of(0.0, 0.0, 1.0, 2.0, 3.0), cache.polynomial().coefficients());
    assertEquals("teacache:threshold=0.1,coefficients=0:0:1:2:3", cache.spec());
    Path ratios = Files.writeString(folder.resolve("b.json"), "{\"ratios\": [1, 0.5]}");
    MagCache mag = (MagCache) StepCaches.parse("magcache:ratios=" + ratios);
    assertEquals(MagCache.of(List.of(1.0, 0.5)), mag);
  }

  @Test
  void aFileWithoutTheNumbersIsNamed(@TempDir Path folder) throws IOException {
    Path file = Files.writeString(folder.resolve("a.json"), "{\"coefficients\": [0, \"1\"]}");
    FormatException words =
        assertThrows(
            FormatException.class, () -> StepCaches.parse("teacache:coefficients=" + file));
    assertTrue(String.valueOf(words.getMessage()).contains("a.json"), words::toString);
    FormatException none =
        assertThrows(FormatException.class, () -> StepCaches.parse("magcache:ratios=" + file));
    assertTrue(String.valueOf(none.getMessage()).contains("ratios"), none::toString);
  }
}
