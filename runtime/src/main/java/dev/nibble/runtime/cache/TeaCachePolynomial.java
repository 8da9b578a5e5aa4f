package dev.nibble.runtime.cache;

import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/// How much the output of a model changes for a change of its input, a polynomial of degree 4 in
/// the relative difference.
///
/// | name | source |
/// | --- | --- |
/// | `flux` | ali-vilab/TeaCache TeaCache4FLUX (FLUX.1-dev) |
/// | `flux-kontext` | nunchaku-tech/nunchaku `nunchaku/caching/teacache.py` |
/// | `lumina-next` | TeaCache TeaCache4Lumina2, version 1 |
/// | `lumina2` | TeaCache TeaCache4Lumina2, version 2 |
/// | `qwen-image` | vllm-project/vllm-omni `vllm_omni/diffusion/cache/teacache/config.py`, which uses it for Z-Image too and says that it wants tuning there |
/// | `hidream-i1`, `hunyuan-video`, `ltx-video` | ali-vilab/TeaCache |
/// | `identity` | the difference itself |
///
/// @param coefficients five, the one of the fourth power first
public record TeaCachePolynomial(List<Double> coefficients) {
  private static final Map<String, List<Double>> PUBLISHED = published();

  /// What vllm-omni uses for Qwen-Image and Z-Image.
  static final TeaCachePolynomial DEFAULT =
      new TeaCachePolynomial(Objects.requireNonNull(PUBLISHED.get("qwen-image")));

  public TeaCachePolynomial {
    coefficients = List.copyOf(coefficients);
    if (coefficients.size() != 5 || !coefficients.stream().allMatch(Double::isFinite)) {
      throw new IllegalArgumentException(
          "TeaCache takes five coefficients, of the powers 4 to 0, not " + coefficients);
    }
  }

  private static Map<String, List<Double>> published() {
    Map<String, List<Double>> named = new LinkedHashMap<>();
    named.put("flux", List.of(498.651651, -283.781631, 55.8554382, -3.82021401, 0.264230861));
    named.put(
        "flux-kontext", List.of(-1046.55119, 312.563399, -16.9500694, 0.410995971, 0.0374537863));
    named.put(
        "lumina-next",
        List.of(393.76566581, -603.50993606, 209.10239044, -23.00726601, 0.86377344));
    named.put(
        "lumina2",
        List.of(
            225.7042019806413,
            -608.8453716535591,
            304.1869942338369,
            124.21267720116742,
            -1.4089066892956552));
    named.put("qwen-image", List.of(-450.0, 280.0, -45.0, 3.2, -0.02));
    named.put("hidream-i1", List.of(-31360.5009, -712.425503, 49.1363285, 8.2651649, 0.108053901));
    named.put(
        "hunyuan-video", List.of(733.226126, -401.131952, 67.5869174, -3.149878, 0.0961237896));
    named.put(
        "ltx-video", List.of(21.4700694, -12.8016453, 2.31279151, 0.792487521, 0.00969274326));
    named.put("identity", List.of(0.0, 0.0, 0.0, 1.0, 0.0));
    return Collections.unmodifiableMap(named);
  }

  /// A name of the table, five numbers with colons between, or a JSON file such as
  /// `{"coefficients": [0, 0, 0, 1, 0]}`.
  ///
  /// @throws IllegalArgumentException if it is none of them
  public static TeaCachePolynomial parse(String text) throws IOException {
    return new TeaCachePolynomial(NumberList.parse("coefficients", text, PUBLISHED));
  }

  /// The value at x.
  public double at(double x) {
    double value = 0;
    for (double coefficient : coefficients) {
      value = value * x + coefficient;
    }
    return value;
  }

  /// As {@link #parse} takes it: by name where there is one.
  String text() {
    return NumberList.text(coefficients, PUBLISHED);
  }
}
