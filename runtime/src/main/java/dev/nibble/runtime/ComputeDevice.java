package dev.nibble.runtime;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// Where a pipeline computes. Never chosen behind the caller's back: a GPU that is asked for and
/// missing is an error.
public sealed interface ComputeDevice {
  /// The processor.
  record Cpu() implements ComputeDevice {
    @Override
    public String toString() {
      return "cpu";
    }
  }

  /// An NVIDIA GPU.
  ///
  /// @param ordinal in the driver's order, from 0
  record Cuda(int ordinal) implements ComputeDevice {
    public Cuda {
      if (ordinal < 0) {
        throw new IllegalArgumentException("no cuda:" + ordinal);
      }
    }

    @Override
    public String toString() {
      return "cuda:" + ordinal;
    }
  }

  /// The device that a text names.
  ///
  /// @param text `cpu`, `cuda` (the first one) or `cuda:N`
  /// @throws IllegalArgumentException for another text
  static ComputeDevice parse(String text) {
    if (text.equals("cpu")) {
      return new Cpu();
    }
    Matcher cuda = Pattern.compile("cuda(?::(\\d{1,4}))?").matcher(text);
    if (!cuda.matches()) {
      throw new IllegalArgumentException("is no device: cpu, cuda or cuda:N");
    }
    return new Cuda(cuda.group(1) == null ? 0 : Integer.parseInt(cuda.group(1)));
  }
}
