package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.runtime.cuda.driver.KernelArguments;
import dev.nibble.runtime.tensor.Binary;
import dev.nibble.runtime.tensor.RopeTable;
import dev.nibble.runtime.tensor.Tensor;
import dev.nibble.runtime.tensor.Unary;
import dev.nibble.runtime.tensor.shape.BroadcastAxes;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/// Launches of `elementwise.cu`; operands are checked already.
final class CudaElementwise {
  private static final int MOST_AXES = 6;
  private static final int MOST_TERMS = 8;

  private final CudaSession session;
  private final Launcher launcher;
  private final KernelModules.Elementwise kernels;

  CudaElementwise(CudaSession session) {
    this.session = session;
    launcher = session.launcher();
    kernels = session.kernels().elementwise();
  }

  private KernelArguments operand(Tensor x) {
    return operand(launcher.begin(), x);
  }

  private static KernelArguments operand(KernelArguments arguments, Tensor x) {
    return arguments.address(CudaBuffer.address(x)).i32(Launcher.type(x));
  }

  void unary(Unary function, Tensor x, Tensor out) {
    long count = out.shape().elements();
    int width = Launcher.width(count, x, out);
    int code =
        switch (function) {
          case SILU -> 0;
          case GELU_TANH -> 1;
          case TANH -> 2;
        };
    operand(operand(launcher.begin().i32(code), x), out).i64(count).i32(width);
    launcher.run(kernels.unary(), launcher.elements(count, width));
  }

  void binary(Binary function, BroadcastAxes axes, Tensor a, Tensor b, Tensor out) {
    if (axes.rank() > MOST_AXES) {
      throw new IllegalArgumentException(
          "%s of %s and %s: more than %d axes that are not walked alike"
              .formatted(function, a.shape(), b.shape(), MOST_AXES));
    }
    long count = out.shape().elements();
    boolean isRow =
        axes.strideA()[0] <= 1
            && axes.strideB()[0] <= 1
            && areWide(axes, axes.strideA())
            && areWide(axes, axes.strideB());
    int width = isRow ? Launcher.width(axes.sizes()[0], a, b, out) : 1;
    int code =
        switch (function) {
          case ADD -> 0;
          case SUB -> 1;
          case MUL -> 2;
          case DIV -> 3;
        };
    KernelArguments arguments =
        operand(operand(operand(launcher.begin().i32(code), a), b), out)
            .i64(count)
            .i32(axes.rank());
    put(arguments, axes.sizes(), axes.rank(), 1);
    put(arguments, axes.strideA(), axes.rank(), 0);
    put(arguments, axes.strideB(), axes.rank(), 0);
    arguments.i32(width);
    launcher.run(kernels.binary(), launcher.elements(count, width));
  }

  /// Whether rows that are not repeated begin at multiples of a wide access.
  private static boolean areWide(BroadcastAxes axes, int[] strides) {
    for (int axis = 1; strides[0] == 1 && axis < axes.rank(); axis++) {
      if (strides[axis] % Launcher.WIDE != 0) {
        return false;
      }
    }
    return true;
  }

  private static void put(KernelArguments arguments, int[] values, int count, int otherwise) {
    for (int i = 0; i < MOST_AXES; i++) {
      arguments.i64(i < count ? values[i] : otherwise);
    }
  }

  /// Sums more terms than a launch takes in steps, in float32.
  void linearCombination(float[] coefficients, List<Tensor> terms, Tensor out) {
    if (terms.size() <= MOST_TERMS) {
      combine(coefficients, terms, 0, terms.size(), Optional.empty(), out);
      return;
    }
    Tensor sum = session.make(DType.F32, out.shape());
    combine(coefficients, terms, 0, MOST_TERMS, Optional.empty(), sum);
    int at = MOST_TERMS;
    while (terms.size() - at > MOST_TERMS - 1) {
      combine(coefficients, terms, at, at + MOST_TERMS - 1, Optional.of(sum), sum);
      at += MOST_TERMS - 1;
    }
    combine(coefficients, terms, at, terms.size(), Optional.of(sum), out);
    session.memory().release(sum);
  }

  private void combine(
      float[] coefficients,
      List<Tensor> terms,
      int begin,
      int end,
      Optional<Tensor> sum,
      Tensor out) {
    List<Tensor> all = new ArrayList<>();
    sum.ifPresent(all::add);
    all.addAll(terms.subList(begin, end));
    int first = all.size() - (end - begin);
    long count = out.shape().elements();
    KernelArguments arguments = launcher.begin().i32(all.size());
    int mask = 0;
    for (int t = 0; t < MOST_TERMS; t++) {
      arguments.i64(t < all.size() ? CudaBuffer.address(all.get(t)) : 0);
      mask |= t < all.size() ? Launcher.type(all.get(t)) << t : 0;
    }
    arguments.i32(mask);
    for (int t = 0; t < MOST_TERMS; t++) {
      int term = begin + t - first;
      arguments.f32(t < first ? 1 : term < end ? coefficients[term] : 0);
    }
    all.add(out);
    int width = Launcher.width(count, all.toArray(Tensor[]::new));
    operand(arguments, out).i64(count).i32(width);
    launcher.run(kernels.linearCombination(), launcher.elements(count, width));
  }

  /// @param scale float32, one row an item; `shift` likewise
  void modulate(Tensor x, Tensor scale, Optional<Tensor> shift, Tensor out) {
    long count = out.shape().elements();
    int d = x.dim(2);
    int width = Launcher.width(d, x, scale, shift.orElse(scale), out);
    KernelArguments arguments =
        operand(x)
            .address(CudaBuffer.address(scale))
            .address(shift.map(CudaBuffer::address).orElse(0L));
    operand(arguments, out).i64(count).i64((long) x.dim(1) * d).i32(d).i32(width);
    launcher.run(kernels.modulate(), launcher.elements(count, width));
  }

  /// @param gate float32, one row an item
  void addGated(Tensor x, Tensor gate, Tensor y, Tensor out) {
    long count = out.shape().elements();
    int d = x.dim(2);
    int width = Launcher.width(d, x, gate, y, out);
    operand(operand(operand(x).address(CudaBuffer.address(gate)), y), out)
        .i64(count)
        .i64((long) x.dim(1) * d)
        .i32(d)
        .i32(width);
    launcher.run(kernels.addGated(), launcher.elements(count, width));
  }

  void swiGlu(Tensor gate, Tensor up, Tensor out) {
    long count = out.shape().elements();
    int width = Launcher.width(count, gate, up, out);
    operand(operand(operand(gate), up), out).i64(count).i32(width);
    launcher.run(kernels.swiGlu(), launcher.elements(count, width));
  }

  /// @param cos float32; `sin` likewise
  void rope(Tensor x, Tensor cos, Tensor sin, RopeTable.Pairs pairs, Tensor out) {
    int half = x.dim(3) / 2;
    operand(operand(x).address(CudaBuffer.address(cos)).address(CudaBuffer.address(sin)), out)
        .i64((long) x.dim(0) * x.dim(1))
        .i32(x.dim(2))
        .i32(half)
        .i64(cos.shape().elements() / half)
        .i32(code(pairs));
    launcher.run(kernels.rope(), launcher.elements(x.shape().elements() / 2, 1));
  }

  static int code(RopeTable.Pairs pairs) {
    return switch (pairs) {
      case ADJACENT -> 0;
      case HALVES -> 1;
    };
  }
}
