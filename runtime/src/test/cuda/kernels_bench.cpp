// Times of the kernels of weights and attention, beside the copy bandwidth and cuBLAS in the same run.
// Operands rotate over more than 320 MB, so that none is found in the second cache.
#include "weights.h"

#include <dlfcn.h>

#include <memory>

namespace {

constexpr size_t kRotation = size_t{400} << 20;

int ceil_div(int64_t a, int64_t b) { return static_cast<int>((a + b - 1) / b); }

bool is_hopper() {
  int major = 0;
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "compute capability");
  return major == 9;
}

double copy_bandwidth() {
  const size_t bytes = size_t{1} << 30;
  Buffer<uint8_t> from(bytes);
  Buffer<uint8_t> to(bytes);
  const double time = seconds(4, [&](int) {
    cudaMemcpyAsync(to.data(), from.data(), bytes, cudaMemcpyDeviceToDevice, Kernel::stream());
  });
  return 2.0 * bytes / time / 1e9;
}

// cuBLAS, if it is installed.
class Rival {
 public:
  Rival() {
    for (const char* name : {"libcublas.so.13", "libcublas.so.12", "/usr/local/cuda/lib64/libcublas.so"}) {
      if (void* library = dlopen(name, RTLD_NOW)) {
        auto create = reinterpret_cast<int (*)(void**)>(dlsym(library, "cublasCreate_v2"));
        auto set_stream = reinterpret_cast<int (*)(void*, cudaStream_t)>(dlsym(library, "cublasSetStream_v2"));
        auto set_workspace = reinterpret_cast<int (*)(void*, void*, size_t)>(dlsym(library, "cublasSetWorkspace_v2"));
        gemm_ = reinterpret_cast<Gemm>(dlsym(library, "cublasGemmEx"));
        if (create(&handle_) == 0 && set_stream(handle_, Kernel::stream()) == 0) {
          void* workspace;
          check(cudaMalloc(&workspace, 64 << 20), "workspace");
          set_workspace(handle_, workspace, 64 << 20);
          return;
        }
        gemm_ = nullptr;
      }
    }
    std::printf("no cuBLAS found\n");
  }

  bool is_there() const { return gemm_ != nullptr; }

  // out[m, n] = x[m, k] · w[n, k]ᵀ in bf16
  void multiply(Bf16* out, const Bf16* x, const Bf16* w, int m, int n, int k) const {
    const float one = 1;
    const float zero = 0;
    constexpr int kBf16 = 14;        // CUDA_R_16BF
    constexpr int kCompute32F = 68;  // CUBLAS_COMPUTE_32F
    const int status = gemm_(handle_, 1, 0, n, m, k, &one, w, kBf16, k, x, kBf16, k, &zero, out, kBf16, n,
                             kCompute32F, -1);
    if (status != 0) {
      std::printf("cublasGemmEx: %d\n", status);
    }
  }

 private:
  using Gemm = int (*)(void*, int, int, int, int, int, const void*, const void*, int, int, const void*, int, int,
                       const void*, void*, int, int, int, int);
  void* handle_ = nullptr;
  Gemm gemm_ = nullptr;
};

// Weights that take turns.
struct Rotation {
  std::vector<std::unique_ptr<HostWeight::Device>> weights;
  size_t payload;

  Rotation(const std::string& scheme, int n, int k, uint32_t block, size_t other_bytes = 0) {
    const HostWeight host(scheme, n, k, block, 1, false);
    payload = host.payload;
    const size_t copies = std::max<size_t>(4, kRotation / (payload + other_bytes) + 1);
    for (size_t i = 0; i < copies; i++) {
      weights.push_back(std::make_unique<HostWeight::Device>(host));
    }
  }
  int count() const { return static_cast<int>(weights.size()); }
};

void bench_decode(double copy) {
  const Module module("decode");
  std::printf("\ndecode to bf16 | NxK | us | GB/s | of copy\n");
  for (auto [n, k] : {std::pair{3840, 3840}, {10240, 3840}}) {
    for (auto [scheme, block] : {std::pair<const char*, uint32_t>{"four_bit_dq", 64}, {"four_bit", 64},
                                 {"llm_int8", 3840}, {"absmax8", 128}, {"dynamic8", 4096}, {"affine8", 3840},
                                 {"fp8_e4m3", 0}, {"f32", 0}}) {
      const size_t out_bytes = size_t{2} * n * k;
      Rotation w(scheme, n, k, block, out_bytes);
      std::vector<std::unique_ptr<Buffer<Bf16>>> outs;
      for (int i = 0; i < w.count(); i++) {
        outs.push_back(std::make_unique<Buffer<Bf16>>(static_cast<size_t>(n) * k));
      }
      const Kernel kernel = module.kernel(std::string("decode_") + scheme + "_bf16");
      const int64_t count = static_cast<int64_t>(n) * k;
      const double time = seconds(3 * w.count(), [&](int i) {
        kernel(ceil_div(count, 8192), 256, 0, outs[i % w.count()]->data(), w.weights[i % w.count()]->weight,
               int64_t{0}, count);
      });
      const double rate = (w.payload + out_bytes) / time / 1e9;
      std::printf("%s:%u | %dx%d | %.1f | %.0f | %.2f\n", scheme, block, n, k, time * 1e6, rate, rate / copy);
      const double same = seconds(20, [&](int i) {
        kernel(ceil_div(count, 8192), 256, 0, outs[0]->data(), w.weights[i % w.count()]->weight, int64_t{0}, count);
      });
      std::printf("  into the same slab: %.1f us, %.0f GB/s\n", same * 1e6, (w.payload + out_bytes) / same / 1e9);
    }
  }
}

void bench_gemv(double copy) {
  const Module module("gemv");
  std::printf("\ngemv | NxK | M | us | GB/s of the weight | of copy\n");
  for (auto [n, k] : {std::pair{3840, 3840}, {10240, 3840}, {3072, 12288}, {12288, 3072}}) {
    for (auto [scheme, block] : {std::pair<const char*, uint32_t>{"four_bit_dq", 64}, {"four_bit", 64},
                                 {"llm_int8", static_cast<uint32_t>(k)}, {"absmax8", 128}, {"fp8_e4m3", 0}, {"bf16", 0}}) {
      Rotation w(scheme, n, k, block);
      for (int m : {1, 8, 16, 64}) {
        const Buffer<Bf16> x(random_values<Bf16>(static_cast<size_t>(m) * k, 1, 3));
        Buffer<Bf16> out(static_cast<size_t>(m) * n);
        const int shared = (ceil_div(k, 64) | 1) * 64;
        const Kernel kernel = module.kernel(std::string("gemv_") + scheme + "_bf16", 65536);
        const double time = seconds(std::max(60, 2 * w.count()), [&](int i) {
          kernel(dim3(ceil_div(n, 16), ceil_div(m, 16)), 512, shared, out.data(), static_cast<const Bf16*>(x.data()),
                 w.weights[i % w.count()]->weight, static_cast<const float*>(nullptr), m, n, k, k, n);
        });
        const double rate = w.payload / time / 1e9;
        std::printf("%s:%u | %dx%d | %d | %.2f | %.0f | %.2f\n", scheme, block, n, k, m, time * 1e6, rate, rate / copy);
      }
    }
  }
}

// @param suffix of the entry: empty or _sm90a
void bench_gemm(const Rival& rival, const std::string& suffix) {
  const bool is_wide = !suffix.empty();
  const int shared = is_wide ? 196608 : 98304;
  const Module module("gemm_bf16" + suffix);
  const Module decode("decode");
  const Kernel own = module.kernel("gemm_bf16_bf16" + suffix, shared);
  const Kernel nf4 = decode.kernel("decode_four_bit_dq_bf16");
  std::printf("\ngemm%s | M | NxK | own us | TFLOP/s | cuBLAS us | TFLOP/s | own/cuBLAS | NF4 decode + cuBLAS us | TFLOP/s\n", suffix.c_str());
  for (int m : {4352, 256, 64}) {
    for (auto [n, k] : {std::pair{3840, 3840}, {10240, 3840}, {3840, 10240}}) {
      const size_t copies = std::max<size_t>(3, kRotation / (size_t{2} * n * k) + 1);
      const std::vector<Bf16> numbers = random_values<Bf16>(static_cast<size_t>(n) * k, 0.05f, 9);
      std::vector<std::unique_ptr<Buffer<Bf16>>> w;
      for (size_t i = 0; i < copies; i++) {
        w.push_back(std::make_unique<Buffer<Bf16>>(numbers));
      }
      const Buffer<Bf16> x(random_values<Bf16>(static_cast<size_t>(m) * k, 1, 3));
      Buffer<Bf16> out(static_cast<size_t>(m) * n);
      const double flop = 2.0 * m * n * k;
      const double time = seconds(20, [&](int i) {
        own(ceil_div(m, 128) * ceil_div(n, is_wide ? 256 : 128), is_wide ? 384 : 128, shared, out.data(), static_cast<const Bf16*>(x.data()),
            static_cast<const Bf16*>(w[i % copies]->data()), static_cast<const float*>(nullptr), m, n, k, k, n);
      });
      double theirs = 0;
      double both = 0;
      if (rival.is_there()) {
        theirs = seconds(20, [&](int i) { rival.multiply(out.data(), x.data(), w[i % copies]->data(), m, n, k); });
        Rotation codes("four_bit_dq", n, k, 64);
        both = seconds(20, [&](int i) {
          nf4(ceil_div(static_cast<int64_t>(n) * k, 8192), 256, 0, w[0]->data(),
              codes.weights[i % codes.count()]->weight, int64_t{0}, static_cast<int64_t>(n) * k);
          rival.multiply(out.data(), x.data(), w[0]->data(), m, n, k);
        });
      }
      std::printf("%d | %dx%d | %.1f | %.0f | %.1f | %.0f | %.2f | %.1f | %.0f\n", m, n, k, time * 1e6,
                  flop / time / 1e12, theirs * 1e6, flop / theirs / 1e12, theirs / time, both * 1e6,
                  flop / both / 1e12);
    }
  }
}

struct AttentionShape {
  int batch, queries, keys, heads, key_heads, dim, value_dim;
  float scale;
  int before, after;
  int64_t ranges_item, q_item, q_row, k_item, k_row, v_item, v_row, out_item, out_row;
};

void bench_attention(const std::string& suffix) {
  const std::string module_name = "attention_bf16" + suffix;
  const Module module(module_name);
  const bool is_wide = !suffix.empty();
  struct Case {
    std::string entry;
    int tokens, heads, key_heads, dim, after, block, threads, shared;
  };
  std::printf("\n%s | T | H | D | us | TFLOP/s\n", module_name.c_str());
  constexpr int kAll = 1 << 30;
  const std::vector<Case> cases = {{"d128", 4352, 30, 30, 128, kAll, 128, 128, 98304},
                                   {"d128", 4352, 30, 30, 128, 0, 128, 128, 98304},
                                   {"d128", 4608, 24, 24, 128, kAll, 128, 128, 98304},
                                   {"d128", 512, 32, 8, 128, 0, 128, 128, 98304},
                                   {"d64", 4352, 30, 30, 64, kAll, 128, 128, 49152},
                                   {"d256", 4352, 8, 8, 256, kAll, 64, 128, 98304},
                                   {"d512", 4096, 1, 1, 512, kAll, 64, 256, 131072},
                                   {"d512", 16384, 1, 1, 512, kAll, 64, 256, 131072}};
  for (Case c : cases) {
    if (is_wide) {
      if (c.dim > 128) {
        continue;
      }
      c.threads = 384;
      c.shared = c.dim == 64 ? 81920 : 163840;
    }
    const Kernel kernel = module.kernel("attention_bf16_" + c.entry + suffix, c.shared);
    AttentionShape s{1, c.tokens, c.tokens, c.heads, c.key_heads, c.dim, c.dim};
    s.scale = 1 / std::sqrt(static_cast<float>(c.dim));
    s.before = kAll;
    s.after = c.after;
    s.q_row = (c.heads + 2 * c.key_heads) * c.dim;
    s.k_row = s.q_row;
    s.v_row = s.q_row;
    s.out_row = c.heads * c.dim;
    const Buffer<Bf16> qkv(random_values<Bf16>(c.tokens * s.q_row, 1, 3));
    Buffer<Bf16> out(c.tokens * s.out_row);
    const double time = seconds(10, [&](int) {
      kernel(dim3(ceil_div(c.tokens, c.block), c.heads, 1), c.threads, c.shared, out.data(),
             static_cast<const Bf16*>(qkv.data()), static_cast<const Bf16*>(qkv.data()) + c.heads * c.dim,
             static_cast<const Bf16*>(qkv.data()) + (c.heads + c.key_heads) * c.dim, static_cast<const void*>(nullptr),
             static_cast<const float*>(nullptr), s);
    });
    const double flop = 4.0 * c.tokens * c.tokens * c.dim * c.heads * (c.after == 0 ? 0.5 : 1);
    std::printf("%s | %d | %d/%d | %d%s | %.1f | %.0f\n", c.entry.c_str(), c.tokens, c.heads, c.key_heads, c.dim,
                c.after == 0 ? " causal" : "", time * 1e6, flop / time / 1e12);
  }
}

}  // namespace

int main(int count, char** arguments) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string only = count > 1 ? arguments[1] : "";
  const auto wants = [&](const char* name) { return only.empty() || only.find(name) != std::string::npos; };
  const double copy = copy_bandwidth();
  std::printf("copy: %.0f GB/s read + write\n", copy);
  if (wants("decode")) {
    bench_decode(copy);
  }
  if (wants("gemv")) {
    bench_gemv(copy);
  }
  if (wants("gemm")) {
    const Rival rival;
    bench_gemm(rival, "");
    if (is_hopper()) {
      bench_gemm(rival, "_sm90a");
    }
  }
  if (wants("attention")) {
    bench_attention("");
    if (is_hopper()) {
      bench_attention("_sm90a");
    }
  }
  return 0;
}
