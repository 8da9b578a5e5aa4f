// Every kernel of weights and attention against plain code in float64, on poisoned and guarded results.
// `kernels_test quick` leaves out what is slow under compute-sanitizer.
#include "weights.h"

#include <optional>

namespace {

bool is_quick = false;

int ceil_div(int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); }

template <class T>
const char* type_name() {
  return sizeof(T) == 4 ? "f32" : "bf16";
}

// ---- decode

template <class T>
void decode_one(const Module& module, const std::string& scheme, size_t n, size_t k, uint32_t block, int64_t begin) {
  const HostWeight host(scheme, n, k, block, static_cast<uint32_t>(n * 31 + k + block));
  const HostWeight::Device device(host);
  const int64_t count = static_cast<int64_t>(n * k) - begin;
  Buffer<T> out(count);
  module.kernel("decode_" + scheme + "_" + type_name<T>())(ceil_div(count, 8192), 256, 0, out.data(), device.weight,
                                                          begin, count);
  const std::string what = "decode " + scheme + " to " + type_name<T>() + " " + std::to_string(n) + "x" +
                           std::to_string(k) + " block " + std::to_string(block) + " from " + std::to_string(begin);
  Kernel::finish(what);
  const std::vector<T> actual = out.values();
  size_t wrong = 0;
  for (int64_t i = 0; i < count; i++) {
    const T expected = rounded<T>(host.decoded[begin + i]);
    wrong += std::memcmp(&actual[i], &expected, sizeof(T)) != 0;
  }
  report(wrong == 0, what, static_cast<double>(wrong));
}

void test_decode() {
  const Module module("decode");
  for (const std::string& scheme : schemes()) {
    std::vector<uint32_t> blocks = {0};
    if (scheme.starts_with("four_bit")) {
      blocks = {32, 64, 128, 4096};
    } else if (has_blocks(scheme)) {
      blocks = {8, 64, 100, 333, 1 << 20};
      if (scheme.starts_with("fp8")) {
        blocks.push_back(0);
      }
    }
    for (uint32_t block : blocks) {
      for (auto [n, k] : {std::pair<size_t, size_t>{1, 1}, {3, 5}, {7, 1171}, {33, 512}, {129, 257}}) {
        decode_one<float>(module, scheme, n, k, block, 0);
        decode_one<Bf16>(module, scheme, n, k, block, 0);
      }
      decode_one<float>(module, scheme, 50, 512, block, 512 * 16);
      decode_one<Bf16>(module, scheme, 50, 333, block, 333 * 16);
    }
    if (has_blocks(scheme) && !scheme.starts_with("four_bit")) {
      decode_one<Bf16>(module, scheme, 77, 129, 129, 129 * 16);
    }
  }
}

// ---- products

struct Sizes {
  int m;
  int n;
  int k;
};

// Results of some elements, or all: row and column of each, and its sum.
template <class X, class W>
std::vector<double> products(const std::vector<X>& x, const std::vector<W>& w, const std::vector<float>& bias, Sizes s,
                             int x_stride) {
  std::vector<double> sums(static_cast<size_t>(s.m) * s.n);
  for (int i = 0; i < s.m; i++) {
    for (int j = 0; j < s.n; j++) {
      double sum = bias.empty() ? 0 : bias[j];
      for (int e = 0; e < s.k; e++) {
        sum += static_cast<double>(to_float(x[static_cast<size_t>(i) * x_stride + e])) *
               to_float(w[static_cast<size_t>(j) * s.k + e]);
      }
      sums[static_cast<size_t>(i) * s.n + j] = sum;
    }
  }
  return sums;
}

// A result whose rows are further apart than they are long; what lies between must stay untouched.
template <class T>
std::vector<T> rows_of(const Buffer<T>& out, Sizes s, int stride, const std::string& what) {
  const std::vector<T> all = out.values();
  std::vector<T> rows;
  for (int i = 0; i < s.m; i++) {
    for (int j = 0; j < stride; j++) {
      const T x = all[static_cast<size_t>(i) * stride + j];
      if (j < s.n) {
        rows.push_back(x);
      } else if (std::isfinite(to_float(x))) {
        report(false, what + ": wrote between rows", 0);
        return rows;
      }
    }
  }
  return rows;
}

template <class T>
void gemv_one(const Module& module, const std::string& scheme, Sizes s, uint32_t block, bool has_bias) {
  const HostWeight host(scheme, s.n, s.k, block, static_cast<uint32_t>(s.m * 31 + s.n + s.k + block));
  const HostWeight::Device device(host);
  const int x_stride = (s.k + 7) / 8 * 8 + 8;
  const int out_stride = s.n + 3;
  const std::vector<T> x = random_values<T>(static_cast<size_t>(s.m) * x_stride, 1, 5);
  const std::vector<float> bias = has_bias ? random_values<float>(s.n, 1, 6) : std::vector<float>();
  const Buffer<T> x_device(x);
  const Buffer<float> bias_device(bias);
  Buffer<T> out(static_cast<size_t>(s.m) * out_stride);
  const int chunk = block % 64 != 0 && block % s.k != 0 ? 32 : 64;
  const int shared = (ceil_div(s.k, chunk) | 1) * 16 * (scheme == "affine8" ? 8 : 4);
  module.kernel("gemv_" + scheme + "_" + type_name<T>(), 65536)(
      dim3(ceil_div(s.n, 16), ceil_div(s.m, 16)), 512, shared, out.data(), static_cast<const T*>(x_device.data()),
      device.weight, static_cast<const float*>(has_bias ? bias_device.data() : nullptr), s.m, s.n, s.k, x_stride,
      out_stride);
  const std::string what = "gemv " + scheme + " " + type_name<T>() + " m " + std::to_string(s.m) + " n " +
                           std::to_string(s.n) + " k " + std::to_string(s.k) + " block " + std::to_string(block);
  Kernel::finish(what);
  const double error =
      relative_error(rows_of(out, s, out_stride, what), products(x, host.decoded, bias, s, x_stride));
  report(error <= 1e-2, what, error);
}

void test_gemv() {
  const Module module("gemv");
  for (const std::string& scheme : schemes()) {
    for (int m : {1, 2, 8, 9, 16, 17, 33}) {
      if (is_quick && m != 1 && m != 9 && m != 17) {
        continue;
      }
      for (auto [n, k] : {std::pair{7, 16}, {16, 64}, {33, 192}, {40, 1056}, {129, 1040}, {50, 4096}}) {
        if (is_quick && n != 33 && n != 40) {
          continue;
        }
        std::vector<uint32_t> blocks;
        const bool is_four_bit = scheme.starts_with("four_bit");
        for (uint32_t block : {0u, 32u, 64u, 96u, 128u, 4096u, static_cast<uint32_t>(k), static_cast<uint32_t>(n * k)}) {
          const uint32_t g = block < 64 ? 32 : 64;
          const bool fits = block == 0 || block % k == 0 || (k % g == 0 && block % g == 0);
          const bool is_power = block >= 32 && (block & (block - 1)) == 0;
          const bool known = !has_blocks(scheme) ? block == 0
                             : block == 0        ? scheme.starts_with("fp8")
                                                 : !is_four_bit || is_power;
          if (fits && known) {
            blocks.push_back(block);
          }
        }
        for (uint32_t block : blocks) {
          gemv_one<Bf16>(module, scheme, {m, n, k}, block, m % 2 == 1);
          gemv_one<float>(module, scheme, {m, n, k}, block, m % 2 == 0);
        }
      }
    }
  }
}

bool is_hopper() {
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "compute capability");
  return major == 9;
}

// @param suffix of the entry: empty or _sm90a
template <class T>
void gemm_bf16_one(const Module& module, const std::string& suffix, Sizes s, int x_extra, int out_extra,
                   bool has_bias) {
  const bool is_wide = !suffix.empty();
  const int shared = is_wide ? 196608 : 98304;
  const int x_stride = s.k + x_extra;
  const int out_stride = s.n + out_extra;
  const std::vector<Bf16> x = random_values<Bf16>(static_cast<size_t>(s.m) * x_stride, 1, 5);
  const std::vector<Bf16> w = random_values<Bf16>(static_cast<size_t>(s.n) * s.k, 0.1f, 7);
  const std::vector<float> bias = has_bias ? random_values<float>(s.n, 1, 6) : std::vector<float>();
  const Buffer<Bf16> x_device(x);
  const Buffer<Bf16> w_device(w);
  const Buffer<float> bias_device(bias);
  Buffer<T> out(static_cast<size_t>(s.m) * out_stride);
  module.kernel(std::string("gemm_bf16_") + type_name<T>() + suffix, shared)(
      ceil_div(s.m, 128) * ceil_div(s.n, is_wide ? 256 : 128), is_wide ? 384 : 128, shared, out.data(), static_cast<const Bf16*>(x_device.data()),
      static_cast<const Bf16*>(w_device.data()), static_cast<const float*>(has_bias ? bias_device.data() : nullptr),
      s.m, s.n, s.k, x_stride, out_stride);
  const std::string what = "gemm" + suffix + " to " + type_name<T>() + " m " + std::to_string(s.m) + " n " +
                           std::to_string(s.n) + " k " + std::to_string(s.k);
  Kernel::finish(what);
  const double error = relative_error(rows_of(out, s, out_stride, what), products(x, w, bias, s, x_stride));
  report(error <= (sizeof(T) == 2 ? 3e-3 : 1e-5), what, error);
}

void gemm_f32_one(const Module& module, Sizes s, bool has_bias) {
  const int x_stride = s.k + 1;
  const int out_stride = s.n + 2;
  const std::vector<float> x = random_values<float>(static_cast<size_t>(s.m) * x_stride, 1, 5);
  const std::vector<float> w = random_values<float>(static_cast<size_t>(s.n) * s.k, 0.1f, 7);
  const std::vector<float> bias = has_bias ? random_values<float>(s.n, 1, 6) : std::vector<float>();
  const Buffer<float> x_device(x);
  const Buffer<float> w_device(w);
  const Buffer<float> bias_device(bias);
  Buffer<float> out(static_cast<size_t>(s.m) * out_stride);
  module.kernel("gemm_f32")(dim3(ceil_div(s.n, 64), ceil_div(s.m, 64)), 256, 0, out.data(),
                            static_cast<const float*>(x_device.data()), static_cast<const float*>(w_device.data()),
                            static_cast<const float*>(has_bias ? bias_device.data() : nullptr), s.m, s.n, s.k,
                            x_stride, out_stride);
  const std::string what =
      "gemm_f32 m " + std::to_string(s.m) + " n " + std::to_string(s.n) + " k " + std::to_string(s.k);
  Kernel::finish(what);
  const double error = relative_error(rows_of(out, s, out_stride, what), products(x, w, bias, s, x_stride));
  report(error <= 1e-5, what, error);
}

void test_gemm() {
  const Module bf16("gemm_bf16");
  const Module f32("gemm_f32");
  std::optional<Module> wide;
  if (is_hopper()) {
    wide.emplace("gemm_bf16_sm90a");
  }
  for (int m : {1, 2, 7, 8, 16, 17, 33, 129, 300}) {
    if (is_quick && m > 17 && m != 129) {
      continue;
    }
    for (auto [n, k] : {std::pair{1, 8}, {8, 64}, {128, 128}, {130, 200}, {257, 1096}, {33, 77}, {131, 255}}) {
      gemm_bf16_one<Bf16>(bf16, "", {m, n, k}, 8, m % 3, m % 2 == 1);
      gemm_bf16_one<float>(bf16, "", {m, n, k}, m % 2, 1, m % 2 == 0);
      if (wide && k % 8 == 0) {
        gemm_bf16_one<Bf16>(*wide, "_sm90a", {m, n, k}, 8, m % 3, m % 2 == 1);
        gemm_bf16_one<float>(*wide, "_sm90a", {m, n, k}, 0, 1, m % 2 == 0);
      }
      gemm_f32_one(f32, {m, n, k}, m % 2 == 1);
    }
  }
  if (!is_quick) {
    gemm_bf16_one<Bf16>(bf16, "", {1200, 1150, 320}, 0, 0, true);
    if (wide) {
      gemm_bf16_one<Bf16>(*wide, "_sm90a", {1200, 1150, 320}, 0, 0, true);
      gemm_bf16_one<float>(*wide, "_sm90a", {1100, 770, 1032}, 0, 0, false);
    }
  }
}

// ---- attention

// As attention/shape.cuh has it.
struct AttentionShape {
  int batch, queries, keys, heads, key_heads, dim, value_dim;
  float scale;
  int before, after;
  int64_t ranges_item, q_item, q_row, k_item, k_row, v_item, v_row, out_item, out_row;
};
static_assert(sizeof(AttentionShape) == 112);

struct Range {
  int begin;
  int end;
};

struct AttentionCase {
  std::string entry;
  int batch, queries, keys, heads, key_heads, dim, value_dim;
  int before = 1 << 30;
  int after = 1 << 30;
  bool has_ranges = false;
  bool has_bias = false;
  bool is_fused = false;  // q, k, v are slices of one tensor
  float deviation = 1;
};

struct Geometry {
  int queries;
  int threads;
  int shared;
};

Geometry geometry(const std::string& entry) {
  if (entry == "attention_f32") {
    return {8, 256, 0};
  }
  if (entry == "attention_bf16_d64") {
    return {128, 128, 49152};
  }
  if (entry == "attention_bf16_d128") {
    return {128, 128, 98304};
  }
  if (entry.ends_with("sm90a")) {
    return {128, 384, entry.find("d64") != std::string::npos ? 81920 : 163840};
  }
  return entry == "attention_bf16_d256" ? Geometry{64, 128, 98304} : Geometry{64, 256, 131072};
}

template <class T>
void attention_one(const Kernel& kernel, const AttentionCase& c) {
  AttentionShape s{c.batch, c.queries, c.keys, c.heads, c.key_heads, c.dim, c.value_dim};
  s.scale = 1 / std::sqrt(static_cast<float>(c.dim));
  s.before = c.before;
  s.after = c.after;
  const int q_size = c.heads * c.dim;
  const int k_size = c.key_heads * c.dim;
  const int v_size = c.key_heads * c.value_dim;
  const int tokens = std::max(c.queries, c.keys);
  s.q_row = c.is_fused ? q_size + k_size + v_size : q_size + 8;
  s.k_row = c.is_fused ? s.q_row : k_size;
  s.v_row = c.is_fused ? s.q_row : v_size + 16;
  s.q_item = tokens * s.q_row;
  s.k_item = tokens * s.k_row;
  s.v_item = tokens * s.v_row;
  s.out_row = c.heads * c.value_dim + 8;
  s.out_item = c.queries * s.out_row;
  std::mt19937 bits(c.queries * 7 + c.keys);
  const std::vector<T> q = random_values<T>(c.batch * s.q_item, c.deviation, 1);
  const std::vector<T> k = c.is_fused ? std::vector<T>() : random_values<T>(c.batch * s.k_item, c.deviation, 2);
  const std::vector<T> v = c.is_fused ? std::vector<T>() : random_values<T>(c.batch * s.v_item, 1, 3);
  std::vector<Range> ranges;
  if (c.has_ranges) {
    s.ranges_item = c.batch > 1 ? c.queries : 0;
    for (int i = 0; i < c.batch * c.queries; i++) {
      const int begin = static_cast<int>(bits() % (c.keys + 1));
      ranges.push_back({begin, i % 5 == 0 ? begin : begin + static_cast<int>(bits() % (c.keys - begin + 1))});
    }
  }
  std::vector<float> bias;
  if (c.has_bias) {
    bias = random_values<float>(static_cast<size_t>(c.batch) * c.heads * c.queries * c.keys, 2, 4);
    for (size_t i = 0; i < bias.size(); i += 3) {
      bias[i] = -INFINITY;
    }
    std::fill(bias.begin(), bias.begin() + c.keys, -INFINITY);  // a query that sees nothing
  }
  const Buffer<T> q_device(q);
  const Buffer<T> k_device(k);
  const Buffer<T> v_device(v);
  const Buffer<Range> ranges_device(ranges);
  const Buffer<float> bias_device(bias);
  Buffer<T> out(c.batch * s.out_item);
  const T* k_data = c.is_fused ? q_device.data() + q_size : k_device.data();
  const T* v_data = c.is_fused ? q_device.data() + q_size + k_size : v_device.data();
  const Geometry g = geometry(c.entry);
  kernel(dim3(ceil_div(c.queries, g.queries), c.heads, c.batch), g.threads, g.shared, out.data(),
         static_cast<const T*>(q_device.data()), k_data, v_data,
         static_cast<const Range*>(c.has_ranges ? ranges_device.data() : nullptr),
         static_cast<const float*>(c.has_bias ? bias_device.data() : nullptr), s);
  const std::string what = c.entry + " B " + std::to_string(c.batch) + " Tq " + std::to_string(c.queries) + " Tk " +
                           std::to_string(c.keys) + " H " + std::to_string(c.heads) + "/" +
                           std::to_string(c.key_heads) + " D " + std::to_string(c.dim) + "/" +
                           std::to_string(c.value_dim) + " window " + std::to_string(c.before) + "," +
                           std::to_string(c.after) + (c.has_ranges ? " ranges" : "") + (c.has_bias ? " bias" : "") +
                           (c.is_fused ? " fused" : "");
  Kernel::finish(what);
  const std::vector<T> all = out.values();

  const std::vector<T>& k_host = c.is_fused ? q : k;
  const std::vector<T>& v_host = c.is_fused ? q : v;
  const int64_t k_at = c.is_fused ? q_size : 0;
  const int64_t v_at = c.is_fused ? q_size + k_size : 0;
  std::vector<T> actual;
  std::vector<double> expected;
  const int step = c.queries > 2000 ? 97 : 1;
  for (int b = 0; b < c.batch; b++) {
    for (int i = 0; i < c.queries; i += step) {
      for (int h = 0; h < c.heads; h += step == 1 ? 1 : 7) {
        const int kh = h / (c.heads / c.key_heads);
        int begin = std::clamp(static_cast<int64_t>(i) - c.before, int64_t{0}, int64_t{c.keys});
        int end = std::clamp(static_cast<int64_t>(i) + c.after + 1, int64_t{begin}, int64_t{c.keys});
        if (c.has_ranges) {
          const Range range = ranges[(s.ranges_item == 0 ? 0 : b * c.queries) + i];
          begin = range.begin;
          end = range.end;
        }
        std::vector<double> scores(c.keys);
        double largest = -INFINITY;
        for (int j = begin; j < end; j++) {
          double score = 0;
          for (int e = 0; e < c.dim; e++) {
            score += static_cast<double>(to_float(q[b * s.q_item + i * s.q_row + h * c.dim + e])) *
                     to_float(k_host[k_at + b * s.k_item + j * s.k_row + kh * c.dim + e]);
          }
          scores[j] = score * s.scale;
          if (c.has_bias) {
            scores[j] += bias[((static_cast<size_t>(b) * c.heads + h) * c.queries + i) * c.keys + j];
          }
          largest = std::max(largest, scores[j]);
        }
        double total = 0;
        std::vector<double> sums(c.value_dim);
        for (int j = begin; j < end && largest > -INFINITY; j++) {
          const double weight = std::exp(scores[j] - largest);
          total += weight;
          for (int e = 0; e < c.value_dim; e++) {
            sums[e] += weight * to_float(v_host[v_at + b * s.v_item + j * s.v_row + kh * c.value_dim + e]);
          }
        }
        for (int e = 0; e < c.value_dim; e++) {
          expected.push_back(total == 0 ? 0 : sums[e] / total);
          actual.push_back(all[b * s.out_item + i * s.out_row + h * c.value_dim + e]);
        }
      }
    }
  }
  const double error = relative_error(actual, expected);
  report(error <= (sizeof(T) == 2 ? 1e-2 : 1e-5), what, error);
}

void attention_cases(const std::string& module_name, const std::string& entry, const std::vector<int>& dims) {
  const Module module(module_name);
  const Kernel kernel = module.kernel(entry, geometry(entry).shared);
  const auto one = [&](AttentionCase c) {
    c.entry = entry;
    if (entry == "attention_f32") {
      attention_one<float>(kernel, c);
    } else {
      attention_one<Bf16>(kernel, c);
    }
  };
  constexpr int kAll = 1 << 30;
  for (int dim : dims) {
    for (auto [tq, tk] : {std::pair{1, 1}, {1, 130}, {17, 5}, {33, 64}, {128, 128}, {129, 200}, {200, 63}}) {
      if (is_quick && tq == 200) {
        continue;
      }
      const int d = tk - tq;
      one({"", 1, tq, tk, 2, 1, dim, dim});
      one({"", 2, tq, tk, 2, 2, dim, dim, kAll, 0});
      one({"", 1, tq, tk, 2, 2, dim, dim, kAll, d, false, false, true});
      one({"", 1, tq, tk, 1, 1, dim, dim, 9 - d, 20 + d});
      one({"", 2, tq, tk, 4, 2, dim, dim, kAll, kAll, true});
      one({"", 1, tq, tk, 2, 1, dim, dim, kAll, kAll, true});
      one({"", 2, tq, tk, 2, 1, dim, dim, kAll, kAll, false, true});
      one({"", 1, tq, tk, 2, 1, dim, dim, kAll, 3, false, true, false, 3});
    }
    one({"", 1, 130, 190, 2, 1, dim, dim > 8 ? dim - 8 : dim, 100, 30});
    one({"", 1, 130, 190, 2, 1, dim, dim, kAll, kAll, false, false, false, 8});
  }
}

// The image and text tokens of a picture of 1024 x 1024.
void attention_large(const std::string& module_name, const std::string& entry) {
  const Module module(module_name);
  const Kernel kernel = module.kernel(entry, geometry(entry).shared);
  constexpr int kAll = 1 << 30;
  attention_one<Bf16>(kernel, {entry, 1, 4352, 4352, 30, 30, 128, 128, kAll, kAll, false, false, true});
  attention_one<Bf16>(kernel, {entry, 1, 2100, 2100, 8, 2, 128, 128, kAll, 0, false, false, true});
}

void test_attention() {
  attention_cases("attention_f32", "attention_f32", {64, 40, 512});
  attention_cases("attention_bf16", "attention_bf16_d64", {64, 32, 40});
  attention_cases("attention_bf16", "attention_bf16_d128", {128, 96});
  attention_cases("attention_bf16", "attention_bf16_d256", {256, 136});
  attention_cases("attention_bf16", "attention_bf16_d512", {512});
  if (!is_quick) {
    attention_large("attention_bf16", "attention_bf16_d128");
  }
  if (is_hopper()) {
    attention_cases("attention_bf16_sm90a", "attention_bf16_d64_sm90a", {64, 40});
    attention_cases("attention_bf16_sm90a", "attention_bf16_d128_sm90a", {128, 96});
    if (!is_quick) {
      attention_large("attention_bf16_sm90a", "attention_bf16_d128_sm90a");
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  is_quick = count > 1 && std::string(arguments[1]) == "quick";
  const std::string only = count > 2 ? arguments[2] : "";
  const auto run = [&](const char* name, void (*test)()) {
    if (only.empty() || only == name) {
      const int before = passes() + failures();
      test();
      std::printf("%s: %d cases\n", name, passes() + failures() - before);
    }
  };
  run("decode", test_decode);
  run("gemv", test_gemv);
  run("gemm", test_gemm);
  run("attention", test_attention);
  std::printf("%d passed, %d failed\n", passes(), failures());
  return failures() == 0 ? 0 : 1;
}
