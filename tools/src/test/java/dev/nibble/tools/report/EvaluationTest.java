package dev.nibble.tools.report;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.nibble.runtime.image.RgbImage;
import dev.nibble.tools.report.Evaluation.Distance;
import dev.nibble.tools.report.Evaluation.Picture;
import dev.nibble.tools.report.Evaluation.Prompt;
import dev.nibble.tools.report.Evaluation.Subject;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

/// An evaluation as people read it, from numbers made up.
class EvaluationTest {
  private static final String HOSTILE = "<script>\"&'";

  private static TransformerSize size(String name, long file, long tensors) {
    return new TransformerSize(
        name, Path.of(name), "nf4 x 2", file, tensors, tensors, OptionalDouble.of(4.125));
  }

  private static Picture picture(double error, double psnr) {
    RgbImage grey = new RgbImage(16, 16, new byte[3 * 16 * 16]);
    return new Picture(grey, Math.min(psnr, 50), new Distance(error, psnr, 0.5, 0.25));
  }

  private static Subject subject(TransformerSize size, double[] errors, double[] psnr) {
    List<Picture> pictures = new ArrayList<>();
    for (int i = 0; i < errors.length; i++) {
      pictures.add(picture(errors[i], psnr[i]));
    }
    return new Subject(size, pictures, Optional.empty());
  }

  private static Subject reference(int prompts) {
    List<Picture> pictures = new ArrayList<>();
    for (int i = 0; i < prompts; i++) {
      pictures.add(new Picture(new RgbImage(16, 16, new byte[3 * 16 * 16]), 1, Distance.NONE));
    }
    return new Subject(size("reference", 100, 90), pictures, Optional.empty());
  }

  private static Evaluation evaluation(Subject... variants) {
    int count = variants[0].pictures().size();
    List<Prompt> prompts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      prompts.add(new Prompt(HOSTILE + " " + i, 7 + i));
    }
    List<Subject> subjects = new ArrayList<>(List.of(reference(count)));
    subjects.addAll(List.of(variants));
    return new Evaluation(Path.of("p<i>"), "cpu", prompts, "2 steps", subjects);
  }

  private static String printed(Evaluation evaluation) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    new EvaluationPrinter(evaluation)
        .print(Optional.empty(), new PrintStream(out, true, StandardCharsets.UTF_8));
    return out.toString(StandardCharsets.UTF_8);
  }

  @Test
  void numbersOfAVariantAreThoseOfItsPictures() {
    double inf = Double.POSITIVE_INFINITY;
    Subject first = subject(size("a", 50, 40), new double[] {1, 2, 6}, new double[] {30, 10, 20});
    Subject second =
        subject(size("b", 50, 40), new double[] {1, 0.5, 0}, new double[] {30, 40, inf});
    assertEquals(3, first.latentsError());
    assertEquals(20, first.psnr());
    assertEquals(10, first.worstPsnr());
    assertEquals(20, first.seconds());
    assertEquals(35, second.psnr());
    assertEquals(30, second.worstPsnr());
    assertEquals(1, second.identical());
    assertEquals(2, second.closerThan(first));
    assertEquals(0.5 / 3, evaluation(first, second).ratio(second));
  }

  @Test
  void aTenthOfThePicturesHasTheWorstPsnrOrLess() {
    double[] psnr = new double[32];
    for (int i = 0; i < psnr.length; i++) {
      psnr[i] = 51 - i;
    }
    assertEquals(23, subject(size("a", 1, 1), new double[32], psnr).worstPsnr()); // 20 to 23 of 51
  }

  @Test
  void notesTellOfEqualSizesAndEqualPictures() {
    double[] one = {1};
    double[] thirty = {30};
    Subject first = subject(size("a", 5000, 4000), one, thirty);
    Subject equal = subject(size("b", 5000, 3999), one, thirty);
    Subject header = subject(size("c", 5010, 4000), one, thirty);
    Subject other =
        subject(size("d", 5010, 3999), new double[1], new double[] {Double.POSITIVE_INFINITY});
    assertEquals(
        List.of(
            "b is as large as a to the byte: 5,000 bytes",
            "c has tensors as large as a to the byte, 4,000 bytes; their files' headers differ by 10",
            "d draws 1 of 1 pictures as the reference, pixel by pixel; the mean PSNR is of the"
                + " others"),
        EvaluationPrinter.notes(evaluation(first, equal, header, other)));
  }

  @Test
  void numbersThatAreNoneArePrintedAsSuch() throws Exception {
    Subject exact =
        subject(size("a", 1, 1), new double[1], new double[] {Double.POSITIVE_INFINITY});
    Subject broken = subject(size("b", 2, 2), new double[] {Double.NaN}, new double[] {5});
    Evaluation evaluation = evaluation(exact, broken);
    String text = printed(evaluation);
    assertTrue(text.contains("identical"), text);
    assertTrue(text.contains("NaN"), text);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    new EvaluationJson(evaluation)
        .print(Path.of("p"), Optional.empty(), new PrintStream(out, true, StandardCharsets.UTF_8));
    String json = out.toString(StandardCharsets.UTF_8);
    assertTrue(json.contains("\"latents_mse\" : null"), json);
    assertFalse(json.contains("NaN") || json.contains("Infinity"), json);
  }

  @Test
  void theWorstPromptComesFirstAndNamesStayText() throws Exception {
    Subject first = subject(size("a", 5, 4), new double[] {1, 1}, new double[] {30, 10});
    Subject second = subject(size("b<b>", 5, 4), new double[] {1, 1}, new double[] {30, 20});
    String page = EvaluationHtml.of(evaluation(first, second), List.of("evaluate", "<x>"), "0");
    assertTrue(page.indexOf("seed 8<") < page.indexOf("seed 7<"), "order");
    assertFalse(page.contains("<script") || page.contains("<b>a") || page.contains("b<b>"));
    assertTrue(page.contains("prefers-color-scheme: dark"));
    assertTrue(page.contains("nibble evaluate &lt;x&gt;"), page);
    assertEquals(6, page.split("<img ", -1).length - 1);
    assertFalse(page.contains("<details>"), "no layers were given");
  }

  @Test
  void layersAreListedWithTheirRatiosToRounding() throws Exception {
    LayerErrors errors =
        new LayerErrors(
            List.of(
                new LayerErrors.Layer("x.weight", 0.01, 0.04),
                new LayerErrors.Layer("y.weight", 0.04, 0.01),
                new LayerErrors.Layer("z.weight", 0, 0)));
    assertEquals(1, errors.meanRatio(), 1e-12);
    Subject given = subject(size("a", 5, 4), new double[] {1}, new double[] {30});
    Subject layered = new Subject(given.size(), given.pictures(), Optional.of(errors));
    String page = EvaluationHtml.of(evaluation(layered), List.of(), "0");
    assertTrue(page.contains("Layers of a: 3"), page);
    assertTrue(page.contains("0.250") && page.contains("4.000"), page);
    assertTrue(
        printed(evaluation(layered)).contains("a: output error of 3 layers is 1.00 times"), page);
  }

  @Test
  void pagesShowABoundedNumberOfPictures() throws Exception {
    Subject many = subject(size("a", 5, 4), new double[70], new double[70]);
    String page = EvaluationHtml.of(evaluation(many), List.of(), "0");
    assertEquals(PictureTable.pictures(70, 2), page.split("<img ", -1).length - 1);
    assertTrue(page.contains("The 64 worst of 70 prompts"), "says so");
  }
}
