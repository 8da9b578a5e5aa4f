// Tensor core products of a warp (sm_80 and later) and the loads of their operands.
//
// In a fragment, lane l is in group g = l / 4 and has place t = l % 4. For D[16, 8] += A[16, 16] · B[16, 8]:
//   A, 4 registers: (row g, columns 2t, 2t+1), (g+8, same), (g, 2t+8, 2t+9), (g+8, same)
//   B, 2 registers: (rows 2t, 2t+1, column g), (rows 2t+8, 2t+9, column g)
//   D, 4 floats:    (row g, columns 2t, 2t+1), (row g+8, same)
// Source: PTX ISA, mma.m16n8k16 and ldmatrix.
#pragma once

#include <cstdint>

namespace nibble {

__device__ inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline uint32_t shared_address(const void* pointer) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

// Four 8x8 matrices of 16-bit numbers; lanes 8i .. 8i+7 give the addresses of the rows of matrix i.
__device__ inline void load_matrices(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

// The same, each matrix transposed.
__device__ inline void load_matrices_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}

// A tile of 16-bit numbers in shared memory is panels of 64 columns, each with all rows of the tile, 128 bytes
// a row. A 16-byte chunk's place within its row is its number XOR the row's, so that neither 8 chunks of a
// row nor those of a column meet in a bank: wgmma's 128-byte swizzle. Tiles begin at multiples of 1024 bytes.
constexpr int kPanelColumns = 64;
constexpr int kPanelRowBytes = 128;

// Bytes from a panel's beginning to a chunk, 0 to 7, of a row.
__device__ inline uint32_t swizzled(int row, int chunk) {
  return static_cast<uint32_t>(row * kPanelRowBytes + (chunk ^ (row & 7)) * 16);
}

// The address of a lane's chunk in a tile of kRows rows; moving by a constant number of rows and chunks is an
// XOR and an addition.
template <int kRows>
struct TileAddress {
  uint32_t address;

  // @param chunk 0 or 1 of the panel at `tile`
  __device__ TileAddress(uint32_t tile, int row, int chunk) : address(tile + swizzled(row, chunk)) {}

  // @param rows a multiple of 8
  // @param chunks an even number
  __device__ uint32_t at(int rows, int chunks) const {
    return (address ^ (chunks % 8 * 16)) + rows * kPanelRowBytes + chunks / 8 * (kRows * kPanelRowBytes);
  }
};

}  // namespace nibble
