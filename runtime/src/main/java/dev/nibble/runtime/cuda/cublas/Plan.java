package dev.nibble.runtime.cuda.cublas;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/// What cuBLASLt wants to know of a product, and the algorithm that it chose. Owns all of it.
final class Plan implements AutoCloseable {
  // cublasComputeType_t, cudaDataType
  private static final int COMPUTE_32F = 68;
  private static final int SCALE_32F = 0;

  // cublasLtMatmulDescAttributes_t and values of them
  private static final int TRANSPOSE_A = 3;
  private static final int TRANSPOSE_B = 4;
  private static final int TRANSPOSED = 1;
  private static final int EPILOGUE = 7;
  private static final int EPILOGUE_BIAS = 4;
  private static final int BIAS_POINTER = 8;

  // cublasLtMatmulPreferenceAttributes_t
  private static final int MAX_WORKSPACE_BYTES = 1;
  private static final int MIN_ALIGNMENT_A = 5;
  private static final int MIN_ALIGNMENT_D = 8;

  // cublasLtMatmulHeuristicResult_t: the algorithm, 64 bytes, and what is known of it
  private static final int RESULT_BYTES = 96;

  private final LtFunctions functions;
  private final Arena arena = Arena.ofShared();
  private final long descriptor;
  private final long aLayout;
  private final long bLayout;
  private final long cLayout;
  private final MemorySegment result = arena.allocate(RESULT_BYTES, 16);

  private Plan(LtFunctions functions, Multiplication product) {
    this.functions = functions;
    descriptor = functions.descriptor(COMPUTE_32F, SCALE_32F);
    // A row-major matrix is a column-major one of swapped sizes; B is the library's first operand.
    switch (product) {
      case Product(long m, long n, long k, var input, var output, boolean biased) -> {
        transpose(TRANSPOSE_A);
        if (biased) {
          functions.setDescriptor(
              descriptor, EPILOGUE, arena.allocateFrom(JAVA_INT, EPILOGUE_BIAS));
        }
        aLayout = functions.layout(input.code(), k, m, k);
        bLayout = functions.layout(input.code(), k, n, k);
        cLayout = functions.layout(output.code(), n, m, n);
      }
      case GramProduct(long m, long n, long k, long stride, var input) -> {
        transpose(TRANSPOSE_B);
        aLayout = functions.layout(input.code(), m, k, stride);
        bLayout = functions.layout(input.code(), n, k, stride);
        cLayout = functions.layout(Product.Type.F32.code(), n, m, stride);
      }
    }
  }

  private void transpose(int operand) {
    functions.setDescriptor(descriptor, operand, arena.allocateFrom(JAVA_INT, TRANSPOSED));
  }

  /// Empty if the library has no algorithm.
  ///
  /// @param alignment of all addresses, a power of two
  static Optional<Plan> choose(
      LtFunctions functions, long handle, Multiplication product, long alignment) {
    Plan plan = new Plan(functions, product);
    try {
      if (plan.ask(handle, product, Math.toIntExact(alignment))) {
        return Optional.of(plan);
      }
      plan.close();
      return Optional.empty();
    } catch (Throwable e) {
      plan.close();
      throw e;
    }
  }

  private boolean ask(long handle, Multiplication product, int alignment) {
    try (Arena scratch = Arena.ofConfined()) {
      long preference = functions.preference();
      try {
        functions.setPreference(
            preference,
            MAX_WORKSPACE_BYTES,
            scratch.allocateFrom(JAVA_LONG, CublasLt.WORKSPACE_BYTES));
        for (int which = MIN_ALIGNMENT_A; which <= MIN_ALIGNMENT_D; which++) {
          functions.setPreference(preference, which, scratch.allocateFrom(JAVA_INT, alignment));
        }
        MemorySegment count = scratch.allocate(JAVA_INT);
        int status =
            functions.heuristic(
                handle, descriptor, bLayout, aLayout, cLayout, preference, result, count);
        if (status == LtFunctions.NOT_SUPPORTED) {
          return false;
        }
        LtFunctions.check(status, "choosing an algorithm for " + product);
        return count.get(JAVA_INT, 0) > 0;
      } finally {
        functions.destroyPreference(preference);
      }
    }
  }

  void setBias(MemorySegment address) {
    functions.setDescriptor(descriptor, BIAS_POINTER, address);
  }

  long descriptor() {
    return descriptor;
  }

  long aLayout() {
    return aLayout;
  }

  long bLayout() {
    return bLayout;
  }

  long cLayout() {
    return cLayout;
  }

  MemorySegment algorithm() {
    return result;
  }

  @Override
  public void close() {
    functions.destroyLayout(cLayout);
    functions.destroyLayout(bLayout);
    functions.destroyLayout(aLayout);
    functions.destroyDescriptor(descriptor);
    arena.close();
  }
}
