package dev.nibble.runtime.cuda;

import dev.nibble.formats.DType;
import dev.nibble.runtime.cuda.driver.CudaDevice;
import dev.nibble.runtime.cuda.driver.CudaModule;
import dev.nibble.runtime.cuda.driver.Kernel;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/// The kernels of a device, a record for each module.
record KernelModules(
    Elementwise elementwise,
    Norm norm,
    GroupNorm groupNorm,
    Layout layout,
    Kernel embedding,
    Kernel fakeQuantRows,
    Reduce reduce,
    Conv conv,
    Weights weights,
    Gemm gemm,
    Kernel gram,
    Attention attention) {

  record Elementwise(
      Kernel unary,
      Kernel affine,
      Kernel convertHalf,
      Kernel swiGlu,
      Kernel modulate,
      Kernel addGated,
      Kernel binary,
      Kernel linearCombination,
      Kernel rope) {}

  record Norm(Kernel rms, Kernel layer, Kernel addRms, Kernel rmsRope) {}

  record GroupNorm(Kernel sums, Kernel factors, Kernel apply) {}

  record Layout(Kernel copyRows, Kernel permute, Kernel upsample) {}

  record Reduce(Kernel sums, Kernel total, Kernel rows, Kernel features) {}

  record Conv(Kernel mma, Kernel f32) {}

  /// Kernels that read weights in every format, by the type of what they give: decoding, and
  /// products with few rows.
  record Weights(
      Map<WeightFormat, Kernel> decodeBf16,
      Map<WeightFormat, Kernel> decodeF32,
      Map<WeightFormat, Kernel> fewRowsBf16,
      Map<WeightFormat, Kernel> fewRowsF32) {
    static final int SHARED_BYTES = 64 << 10;

    Kernel decode(WeightFormat format, DType out) {
      return of(out == DType.BF16 ? decodeBf16 : decodeF32, format);
    }

    Kernel fewRows(WeightFormat format, DType type) {
      return of(type == DType.BF16 ? fewRowsBf16 : fewRowsF32, format);
    }

    private static Kernel of(Map<WeightFormat, Kernel> kernels, WeightFormat format) {
      return Objects.requireNonNull(kernels.get(format), format.id());
    }

    private static Map<WeightFormat, Kernel> every(CudaModule module, String entryPoint) {
      Map<WeightFormat, Kernel> kernels = new EnumMap<>(WeightFormat.class);
      for (WeightFormat format : WeightFormat.values()) {
        kernels.put(format, module.kernel(entryPoint.formatted(format.id())));
      }
      return kernels;
    }

    static Weights load(CudaDevice device) {
      CudaModule decode = KernelModule.load(device, "decode");
      CudaModule gemv = KernelModule.load(device, "gemv");
      Weights weights =
          new Weights(
              every(decode, "decode_%s_bf16"),
              every(decode, "decode_%s_f32"),
              every(gemv, "gemv_%s_bf16"),
              every(gemv, "gemv_%s_f32"));
      weights.fewRowsBf16.values().forEach(kernel -> kernel.allowShared(SHARED_BYTES));
      weights.fewRowsF32.values().forEach(kernel -> kernel.allowShared(SHARED_BYTES));
      return weights;
    }
  }

  record Gemm(Kernel bf16, Kernel f32) {
    static final int SHARED_BYTES = 98304;

    Kernel of(DType out) {
      return out == DType.BF16 ? bf16 : f32;
    }

    static Gemm load(CudaDevice device) {
      CudaModule module = KernelModule.load(device, "gemm_bf16");
      return new Gemm(
          module.kernel("gemm_bf16_bf16").allowShared(SHARED_BYTES),
          module.kernel("gemm_bf16_f32").allowShared(SHARED_BYTES));
    }
  }

  /// @param tiles of bfloat16: the first that is large enough is the fastest
  record Attention(List<Tile> tiles, Kernel f32) {
    /// Compute capability of the one generation that has products of warp groups.
    private static final int HOPPER = 90;

    /// A kernel for heads up to a size.
    ///
    /// @param dim largest size of a head
    /// @param rows queries of a block
    record Tile(Kernel kernel, int dim, int rows, int threads, int sharedBytes) {}

    Tile tile(int dim) {
      for (Tile tile : tiles) {
        if (dim <= tile.dim()) {
          return tile;
        }
      }
      throw new IllegalArgumentException("heads of %d numbers".formatted(dim));
    }

    static Attention load(CudaDevice device) {
      List<Tile> tiles = new ArrayList<>();
      if (device.info().capability() == HOPPER) {
        CudaModule hopper = KernelModule.load(device, "attention_bf16_sm90a");
        tiles.add(tile(hopper.kernel("attention_bf16_d64_sm90a"), 64, 128, 384, 81920));
        tiles.add(tile(hopper.kernel("attention_bf16_d128_sm90a"), 128, 128, 384, 163840));
      }
      CudaModule any = KernelModule.load(device, "attention_bf16");
      tiles.add(tile(any.kernel("attention_bf16_d64"), 64, 128, 128, 49152));
      tiles.add(tile(any.kernel("attention_bf16_d128"), 128, 128, 128, 98304));
      tiles.add(tile(any.kernel("attention_bf16_d256"), 256, 64, 128, 98304));
      tiles.add(tile(any.kernel("attention_bf16_d512"), 512, 64, 256, 131072));
      return new Attention(
          List.copyOf(tiles), KernelModule.load(device, "attention_f32").kernel("attention_f32"));
    }

    private static Tile tile(Kernel kernel, int dim, int rows, int threads, int sharedBytes) {
      return new Tile(kernel.allowShared(sharedBytes), dim, rows, threads, sharedBytes);
    }
  }

  static KernelModules load(CudaDevice device) {
    CudaModule elementwise = KernelModule.load(device, "elementwise");
    CudaModule norm = KernelModule.load(device, "norm");
    CudaModule group = KernelModule.load(device, "group_norm");
    CudaModule layout = KernelModule.load(device, "layout");
    CudaModule reduce = KernelModule.load(device, "reduce");
    CudaModule conv = KernelModule.load(device, "conv");
    return new KernelModules(
        new Elementwise(
            elementwise.kernel("unary"),
            elementwise.kernel("affine"),
            elementwise.kernel("convert_half"),
            elementwise.kernel("swiglu"),
            elementwise.kernel("modulate"),
            elementwise.kernel("add_gated"),
            elementwise.kernel("binary"),
            elementwise.kernel("linear_combination"),
            elementwise.kernel("rope")),
        new Norm(
            norm.kernel("rms_norm"),
            norm.kernel("layer_norm"),
            norm.kernel("add_rms_norm"),
            norm.kernel("rms_norm_rope")),
        new GroupNorm(
            group.kernel("group_norm_sums"),
            group.kernel("group_norm_factors"),
            group.kernel("group_norm_apply")),
        new Layout(
            layout.kernel("copy_rows"),
            layout.kernel("permute"),
            layout.kernel("upsample_nearest2x")),
        KernelModule.load(device, "embedding").kernel("embedding"),
        KernelModule.load(device, "fake_quant").kernel("fake_quant_rows"),
        new Reduce(
            reduce.kernel("reduce_sums"),
            reduce.kernel("reduce_total"),
            reduce.kernel("reduce_rows"),
            reduce.kernel("reduce_features")),
        new Conv(conv.kernel("conv_mma"), conv.kernel("conv_f32")),
        Weights.load(device),
        Gemm.load(device),
        KernelModule.load(device, "gram").kernel("gram"),
        Attention.load(device));
  }
}
