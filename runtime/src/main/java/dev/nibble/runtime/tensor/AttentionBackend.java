package dev.nibble.runtime.tensor;

import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/// Implementations of {@link Ops#attention} by the names that diffusers gives them
/// (`AttentionBackendName` in `models/attention_dispatch.py`). All compute the same; which exist is
/// the {@link Backend}'s matter, and where one does not, {@link #NATIVE} takes its place. A choice
/// is immutable: a session computes with the one that it was opened with.
public enum AttentionBackend {
  FLASH("flash", "a CUDA device"),
  FLASH_HUB("flash_hub", "a CUDA device"),
  FLASH_VARLEN("flash_varlen", "a CUDA device"),
  FLASH_VARLEN_HUB("flash_varlen_hub", "a CUDA device"),
  FLASH_4_HUB("flash_4_hub", "a CUDA device"),
  FLASH_3("_flash_3", "a CUDA device"),
  FLASH_VARLEN_3("_flash_varlen_3", "a CUDA device"),
  FLASH_3_HUB("_flash_3_hub", "a CUDA device"),
  FLASH_3_VARLEN_HUB("_flash_3_varlen_hub", "a CUDA device"),
  AITER_FA2_HUB("aiter_fa2_hub", "a ROCm device"),
  FLEX("flex", "torch's compiler"),
  /// The device's own choice: an online softmax on the CPU. The default.
  NATIVE("native", "nothing"),
  NATIVE_CUDNN("_native_cudnn", "a CUDA device"),
  NATIVE_EFFICIENT("_native_efficient", "a CUDA device"),
  NATIVE_FLASH("_native_flash", "a CUDA device"),
  /// The formula as it is written, with the whole matrix of scores in memory.
  NATIVE_MATH("_native_math", "nothing"),
  NATIVE_NPU("_native_npu", "an NPU"),
  NATIVE_XLA("_native_xla", "a TPU"),
  SAGE("sage", "a CUDA device"),
  SAGE_HUB("sage_hub", "a CUDA device"),
  SAGE_VARLEN("sage_varlen", "a CUDA device"),
  SAGE_QK_INT8_PV_FP8_CUDA("_sage_qk_int8_pv_fp8_cuda", "a CUDA device"),
  SAGE_QK_INT8_PV_FP8_CUDA_SM90("_sage_qk_int8_pv_fp8_cuda_sm90", "a CUDA device"),
  SAGE_QK_INT8_PV_FP16_CUDA("_sage_qk_int8_pv_fp16_cuda", "a CUDA device"),
  SAGE_QK_INT8_PV_FP16_TRITON("_sage_qk_int8_pv_fp16_triton", "a CUDA device"),
  XFORMERS("xformers", "a CUDA device");

  private final String id;
  private final String requirement;

  AttentionBackend(String id, String requirement) {
    this.id = id;
    this.requirement = requirement;
  }

  /// The name in diffusers.
  public String id() {
    return id;
  }

  /// What it needs, for a message: "flash needs a CUDA device".
  public String requirement() {
    return requirement;
  }

  /// The implementation of that name, in upper or lower case.
  ///
  /// @throws IllegalArgumentException with a line that lists the names, if there is none such
  public static AttentionBackend of(String name) {
    String wanted = name.toLowerCase(Locale.ROOT);
    return Arrays.stream(values())
        .filter(backend -> backend.id.equals(wanted))
        .findFirst()
        .orElseThrow(() ->
            new IllegalArgumentException(
                "unknown attention backend '%s': expected one of %s"
                    .formatted(
                        name,
                        Arrays.stream(values())
                            .map(AttentionBackend::id)
                            .collect(Collectors.joining(", ")))));
  }
}
