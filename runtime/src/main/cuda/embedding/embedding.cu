// Rows of a dense table.
//
// Idea: a block a row. Floor: the rows read and written over the copy bandwidth; in practice a launch. Rows of a
// quantized table are decoded by its own kernels. Reference: dev.nibble.runtime.cpu.CpuOps.embedding.
#include "../common/numbers.cuh"

using namespace nibble;

/// out[i] = table[ids[i]]. Grid: a block for each id.
extern "C" __global__ void embedding(
    const void* table /* [vocabulary, d] */,
    int tableType,
    const int* ids /* [gridDim.x] */,
    void* out /* [gridDim.x, d] */,
    int outType,
    int d) {
  const int64_t from = static_cast<int64_t>(ids[blockIdx.x]) * d;
  for (int i = threadIdx.x; i < d; i += blockDim.x) {
    float v[1];
    load<1>(table, tableType, from + i, v);
    store<1>(out, outType, static_cast<int64_t>(blockIdx.x) * d + i, v);
  }
}
