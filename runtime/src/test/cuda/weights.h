// Random weights of every scheme, with a decoder written from the scheme's definition.
#pragma once

#include "harness.h"

// As dequant/weight.cuh has it.
struct Weight {
  const void* codes;
  const void* scale;
  const void* zero_point;
  const void* codebook;
  const void* nested_codebook;
  const void* nested_absmax;
  float nested_offset;
  uint32_t block_size;
  uint32_t code_flip;
  uint32_t zero_flip;
};
static_assert(sizeof(Weight) == 64);

inline const std::vector<std::string>& schemes() {
  static const std::vector<std::string> names = {"four_bit", "four_bit_dq", "llm_int8", "absmax8",
                                                 "affine8",  "dynamic8",    "fp8_e4m3", "fp8_e5m2",
                                                 "bf16",     "f16",         "f32"};
  return names;
}

inline bool has_blocks(const std::string& scheme) {
  return scheme != "bf16" && scheme != "f16" && scheme != "f32";
}

inline int code_bits(const std::string& scheme) {
  return scheme.starts_with("four_bit") ? 4 : scheme == "f32" ? 32 : scheme == "bf16" || scheme == "f16" ? 16 : 8;
}

inline float fp8_value(int code, int mantissa_bits, int bias, bool is_finite) {
  const int exponent_bits = 7 - mantissa_bits;
  const int mantissa = code & ((1 << mantissa_bits) - 1);
  const int exponent = code >> mantissa_bits & ((1 << exponent_bits) - 1);
  const float sign = code & 0x80 ? -1.0f : 1.0f;
  if (is_finite ? (code & 0x7f) == 0x7f : exponent == (1 << exponent_bits) - 1) {
    return !is_finite && mantissa == 0 ? sign * INFINITY : NAN;
  }
  return exponent == 0 ? sign * std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissa_bits)
                       : sign * std::ldexp(static_cast<float>(mantissa + (1 << mantissa_bits)),
                                           exponent - bias - mantissa_bits);
}

inline float half_value(uint16_t h) {
  const int exponent = h >> 10 & 31;
  const float sign = h & 0x8000 ? -1.0f : 1.0f;
  return exponent == 0 ? sign * std::ldexp(static_cast<float>(h & 1023), -24)
                       : sign * std::ldexp(static_cast<float>((h & 1023) + 1024), exponent - 25);
}

class HostWeight {
 public:
  std::vector<float> decoded;
  size_t payload = 0;  // bytes of codes and scales

  // @param block 0 for none (plain numbers, unscaled fp8)
  HostWeight(const std::string& scheme, size_t n, size_t k, uint32_t block, uint32_t seed, bool decode = true)
      : scheme_(scheme), elements_(n * k), block_(block), bits_(seed) {
    codes_.resize((elements_ * code_bits(scheme) + 7) / 8);
    for (size_t i = 0; i + 4 <= codes_.size(); i += 4) {
      const uint32_t word = bits_();
      std::memcpy(&codes_[i], &word, 4);
    }
    if (!has_blocks(scheme)) {
      numbers();
    }
    if (scheme.starts_with("fp8")) {
      for (uint8_t& code : codes_) {
        code &= scheme == "fp8_e4m3" ? 0xfe : 0xbf;  // neither NaN nor infinity
      }
    }
    const size_t blocks = block == 0 ? 0 : (elements_ + block - 1) / block;
    scales_ = reals(blocks, 0.01f, 0.1f);
    zeros_.resize(blocks);
    for (uint8_t& zero : zeros_) {
      zero = static_cast<uint8_t>(bits_());
    }
    absmax_codes_ = zeros_;
    codebook_ = reals(256, -1, 1);
    codebook_[3] = 1;
    nested_codebook_ = reals(256, -1, 1);
    nested_absmax_ = reals((blocks + 255) / 256, 0.005f, 0.02f);
    payload = codes_.size() + (scheme == "four_bit_dq" ? blocks : blocks * 4);
    if (decode) {
      decoded.resize(elements_);
      for (size_t i = 0; i < elements_; i++) {
        decoded[i] = value(i);
      }
    }
  }

  // A copy on the device.
  class Device {
   public:
    Weight weight;

    explicit Device(const HostWeight& w)
        : weight{},
          codes_(w.codes_),
          scales_(w.scales_),
          zeros_(w.scheme_ == "four_bit_dq" ? w.absmax_codes_ : w.zeros_),
          codebook_(w.codebook_),
          nested_codebook_(w.nested_codebook_),
          nested_absmax_(w.nested_absmax_) {
      weight.codes = codes_.data();
      weight.scale = w.scheme_ == "four_bit_dq" ? static_cast<void*>(zeros_.data()) : scales_.data();
      weight.zero_point = zeros_.data();
      weight.codebook = codebook_.data();
      weight.nested_codebook = nested_codebook_.data();
      weight.nested_absmax = nested_absmax_.data();
      weight.nested_offset = kOffset;
      weight.block_size = w.block_;
      weight.code_flip = w.scheme_ == "affine8" ? kFlip : 0;
      weight.zero_flip = 0;
    }

   private:
    Buffer<uint8_t> codes_;
    Buffer<float> scales_;
    Buffer<uint8_t> zeros_;
    Buffer<float> codebook_;
    Buffer<float> nested_codebook_;
    Buffer<float> nested_absmax_;
  };

 private:
  static constexpr float kOffset = 0.0375f;
  static constexpr uint32_t kFlip = 0x80;
  std::string scheme_;
  size_t elements_;
  uint32_t block_;
  std::mt19937 bits_;
  std::vector<uint8_t> codes_;
  std::vector<float> scales_;
  std::vector<uint8_t> zeros_;
  std::vector<uint8_t> absmax_codes_;
  std::vector<float> codebook_;
  std::vector<float> nested_codebook_;
  std::vector<float> nested_absmax_;

  std::vector<float> reals(size_t count, float low, float high) {
    std::uniform_real_distribution<float> uniform(low, high);
    std::vector<float> values(count);
    for (float& x : values) {
      x = uniform(bits_);
    }
    return values;
  }

  // Plain numbers near 0, not any bits.
  void numbers() {
    const std::vector<float> values = reals(std::min<size_t>(elements_, 65537), -0.1f, 0.1f);
    for (size_t i = 0; i < elements_; i++) {
      const float x = values[i % values.size()];
      if (scheme_ == "f32") {
        std::memcpy(&codes_[4 * i], &x, 4);
      } else if (scheme_ == "bf16") {
        const uint16_t h = rounded<Bf16>(x).bits;
        std::memcpy(&codes_[2 * i], &h, 2);
      } else {
        const uint16_t h = static_cast<uint16_t>((bits_of(x) >> 31 << 15) | (bits_() % (11 << 10)));
        std::memcpy(&codes_[2 * i], &h, 2);
      }
    }
  }

  float value(size_t i) const {
    const size_t block = block_ == 0 ? 0 : i / block_;
    const uint8_t code = code_bits(scheme_) == 8 ? codes_[i] : 0;
    if (scheme_.starts_with("four_bit")) {
      const float number = codebook_[i % 2 == 0 ? codes_[i / 2] >> 4 : codes_[i / 2] & 15];
      if (scheme_ == "four_bit") {
        return number * scales_[block];
      }
      const float product = nested_codebook_[absmax_codes_[block]] * nested_absmax_[block / 256];
      const float absmax = product + kOffset;
      return number * absmax;
    }
    if (scheme_ == "llm_int8") {
      const float product = static_cast<int8_t>(code) * scales_[block];
      return product * (1.0f / 127.0f);
    }
    if (scheme_ == "absmax8") {
      return static_cast<int8_t>(code) * scales_[block];
    }
    if (scheme_ == "affine8") {
      return (static_cast<int>(code ^ kFlip) - zeros_[block]) * scales_[block];
    }
    if (scheme_ == "dynamic8") {
      return codebook_[code] * scales_[block];
    }
    if (scheme_.starts_with("fp8")) {
      const float number = scheme_ == "fp8_e4m3" ? fp8_value(code, 3, 7, true) : fp8_value(code, 2, 15, false);
      return block_ == 0 ? number : number * scales_[block];
    }
    uint32_t word = 0;
    std::memcpy(&word, &codes_[i * code_bits(scheme_) / 8], code_bits(scheme_) / 8);
    return scheme_ == "f32" ? float_of(word) : scheme_ == "bf16" ? float_of(word << 16) : half_value(word);
  }
};
