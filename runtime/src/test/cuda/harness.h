// What the tests and benchmarks of the kernels share: modules, buffers with guards, comparisons, timing.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

inline void check(cudaError_t status, const char* what) {
  if (status != cudaSuccess) {
    std::printf("FAILED %s: %s\n", what, cudaGetErrorString(status));
    std::exit(2);
  }
}

// bf16 as its bits.
struct Bf16 {
  uint16_t bits;
};

inline uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}

inline float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}

inline float to_float(float x) { return x; }
inline float to_float(Bf16 x) { return float_of(static_cast<uint32_t>(x.bits) << 16); }

template <class T>
T rounded(float x);

template <>
inline float rounded<float>(float x) {
  return x;
}

template <>
inline Bf16 rounded<Bf16>(float x) {
  const uint32_t bits = bits_of(x);
  if (std::isnan(x)) {
    return {0x7fff};
  }
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

// Device memory whose bytes are all 0xff at first (NaN as float or bf16), with a guard behind.
template <class T>
class Buffer {
 public:
  explicit Buffer(size_t count) : count_(count) {
    check(cudaMalloc(&data_, bytes() + kGuard), "cudaMalloc");
    poison();
  }
  explicit Buffer(const std::vector<T>& values) : Buffer(values.size()) {
    check(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), "copy to the device");
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { cudaFree(data_); }

  void poison() { check(cudaMemset(data_, 0xff, bytes() + kGuard), "cudaMemset"); }
  T* data() const { return data_; }
  size_t bytes() const { return count_ * sizeof(T); }

  std::vector<T> values() const {
    std::vector<T> values(count_);
    std::vector<uint8_t> guard(kGuard);
    check(cudaMemcpy(values.data(), data_, bytes(), cudaMemcpyDeviceToHost), "copy to the host");
    check(cudaMemcpy(guard.data(), reinterpret_cast<uint8_t*>(data_) + bytes(), kGuard,
                     cudaMemcpyDeviceToHost),
          "copy to the host");
    for (uint8_t byte : guard) {
      if (byte != 0xff) {
        std::printf("FAILED a kernel wrote beyond its result\n");
        std::exit(1);
      }
    }
    return values;
  }

 private:
  static constexpr size_t kGuard = 4096;
  size_t count_;
  T* data_ = nullptr;
};

class Kernel {
 public:
  explicit Kernel(cudaKernel_t kernel) : kernel_(kernel) {}

  template <class... Args>
  void operator()(dim3 grid, unsigned block, size_t shared, Args... args) const {
    void* pointers[] = {&args...};
    check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel_), grid, dim3(block), pointers, shared, stream()),
          "launch");
  }

  void allow_shared(int bytes) const {
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel_), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               bytes),
          "raise shared memory");
  }

  static cudaStream_t& stream() {
    static cudaStream_t stream = [] {
      cudaStream_t s;
      check(cudaStreamCreate(&s), "stream");  // waits for the default stream, which fills buffers
      return s;
    }();
    return stream;
  }

  static void finish(const std::string& what) { check(cudaStreamSynchronize(stream()), what.c_str()); }

 private:
  cudaKernel_t kernel_;
};

// One fatbin.
class Module {
 public:
  explicit Module(const std::string& name) {
    const char* folder = std::getenv("KERNELS");
    const std::string path = std::string(folder == nullptr ? "." : folder) + "/" + name + ".fatbin";
    check(cudaLibraryLoadFromFile(&library_, path.c_str(), nullptr, nullptr, 0, nullptr, nullptr, 0), path.c_str());
  }

  Kernel kernel(const std::string& name, int shared = 0) const {
    cudaKernel_t kernel;
    check(cudaLibraryGetKernel(&kernel, library_, name.c_str()), name.c_str());
    if (shared > 0) {
      Kernel(kernel).allow_shared(shared);
    }
    return Kernel(kernel);
  }

 private:
  cudaLibrary_t library_;
};

inline int& failures() {
  static int count = 0;
  return count;
}

inline int& passes() {
  static int count = 0;
  return count;
}

inline void report(bool ok, const std::string& what, double error) {
  (ok ? passes() : failures())++;
  if (!ok) {
    std::printf("FAILED %s: error %.3g\n", what.c_str(), error);
  }
}

// Frobenius norm of the difference over that of what is expected; infinite where a NaN is.
template <class T>
double relative_error(const std::vector<T>& actual, const std::vector<double>& expected) {
  double difference = 0;
  double norm = 0;
  for (size_t i = 0; i < expected.size(); i++) {
    const double x = to_float(actual[i]);
    if (!std::isfinite(x)) {
      return INFINITY;
    }
    difference += (x - expected[i]) * (x - expected[i]);
    norm += expected[i] * expected[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

template <class T>
std::vector<T> random_values(size_t count, float deviation, uint32_t seed) {
  constexpr size_t kPeriod = 1000003;  // large and prime: no row repeats another
  std::mt19937 bits(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<T> values(count);
  for (size_t i = 0; i < count; i++) {
    values[i] = i < kPeriod ? rounded<T>(normal(bits)) : values[i - kPeriod];
  }
  return values;
}

// Median seconds of one of `count` calls in a graph, each told its number.
inline double seconds(int count, const std::function<void(int)>& call) {
  cudaStream_t stream = Kernel::stream();
  cudaGraph_t graph;
  cudaGraphExec_t exec;
  call(0);
  check(cudaStreamSynchronize(stream), "warm-up");
  check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "capture");
  for (int i = 0; i < count; i++) {
    call(i);
  }
  check(cudaStreamEndCapture(stream, &graph), "capture");
  check(cudaGraphInstantiate(&exec, graph, 0), "graph");
  cudaEvent_t begin;
  cudaEvent_t end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  std::vector<double> times;
  for (int i = 0; i < 8; i++) {
    cudaEventRecord(begin, stream);
    check(cudaGraphLaunch(exec, stream), "graph launch");
    cudaEventRecord(end, stream);
    check(cudaStreamSynchronize(stream), "graph");
    float milliseconds;
    cudaEventElapsedTime(&milliseconds, begin, end);
    if (i > 0) {
      times.push_back(milliseconds / 1e3 / count);
    }
  }
  cudaGraphExecDestroy(exec);
  cudaGraphDestroy(graph);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}
