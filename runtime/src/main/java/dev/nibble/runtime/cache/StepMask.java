package dev.nibble.runtime.cache;

/// Which steps must be computed and which may be reused, step by step: the step computation mask of
/// cache-dit.
public sealed interface StepMask {
  /// The mask of a run: a character a step, `1` computed, `0` may be reused. May be shorter than
  /// the run; the steps behind its end may be reused.
  ///
  /// @throws IllegalArgumentException if there is no mask for this number of steps
  String bits(int steps);

  /// As `mask=` of {@link DbCache} takes it.
  String text();

  /// A preset's name or the bits themselves.
  static StepMask parse(String text) {
    for (Preset preset : Preset.values()) {
      if (preset.text().equals(text)) {
        return preset;
      }
    }
    return new Bits(text);
  }

  /// Runs of computed and of reused steps in turn, computed first.
  ///
  /// @param compute lengths of the computed runs
  /// @param reuse lengths of the reused runs
  /// @param steps where the mask ends, at most the sum of all lengths
  static Bits ofBins(int[] compute, int[] reuse, int steps) {
    StringBuilder mask = new StringBuilder();
    for (int i = 0; i < Math.max(compute.length, reuse.length); i++) {
      mask.repeat('1', i < compute.length ? compute[i] : 0);
      mask.repeat('0', i < reuse.length ? reuse[i] : 0);
    }
    if (mask.length() < steps) {
      throw new IllegalArgumentException(
          "the mask's runs cover %d of %d steps".formatted(mask.length(), steps));
    }
    return new Bits(mask.substring(0, steps));
  }

  /// A mask step by step.
  ///
  /// @param text `1` computed, `0` may be reused
  record Bits(String text) implements StepMask {
    public Bits {
      if (!text.matches("[01]+")) {
        throw new IllegalArgumentException(
            "a mask is slow, medium, fast, ultra, or a 1 (compute) or 0 (may reuse) for each step,"
                + " not '%s'".formatted(text));
      }
    }

    @Override
    public String bits(int steps) {
      return text;
    }
  }

  /// Masks by the number of steps; the last step is always computed. {@link MaskPresets} makes
  /// them.
  enum Preset implements StepMask {
    SLOW("slow"),
    MEDIUM("medium"),
    FAST("fast"),
    ULTRA("ultra");

    private final String text;

    Preset(String text) {
      this.text = text;
    }

    @Override
    public String text() {
      return text;
    }

    @Override
    public String bits(int steps) {
      return MaskPresets.bits(this, steps);
    }
  }
}
