// All schemes, under the names of the entry points: FOR_EACH_SCHEME(X) is X(name, type) for each. The one
// macro here, for a template cannot name an `extern "C"` function.
#pragma once

#include "dequant/dynamic8.cuh"
#include "dequant/four_bit.cuh"
#include "dequant/fp8.cuh"
#include "dequant/int8.cuh"
#include "dequant/plain.cuh"

// clang-format off
#define FOR_EACH_SCHEME(X)       \
  X(four_bit, FourBit<false>)    \
  X(four_bit_dq, FourBit<true>)  \
  X(llm_int8, LlmInt8)           \
  X(absmax8, AbsmaxInt8)         \
  X(affine8, AffineInt8)         \
  X(dynamic8, Dynamic8)          \
  X(fp8_e4m3, Fp8E4M3)           \
  X(fp8_e5m2, Fp8E5M2)           \
  X(bf16, PlainBf16)             \
  X(f16, PlainF16)               \
  X(f32, PlainF32)
// clang-format on
