// The arguments that all attention kernels share, and the keys that a query sees.
#pragma once

#include <cstdint>

namespace nibble {

// By value; the launching side writes the same 112 bytes. Strides are in elements; the heads of a token lie
// side by side.
struct AttentionShape {
  int batch;
  int queries;
  int keys;
  int heads;
  int key_heads;  // divides heads: query head h uses head h / (heads / key_heads)
  int dim;
  int value_dim;
  float scale;
  int before;     // query i sees keys from i - before
  int after;      // to i + after
  int64_t ranges_item;
  int64_t q_item;
  int64_t q_row;
  int64_t k_item;
  int64_t k_row;
  int64_t v_item;
  int64_t v_row;
  int64_t out_item;
  int64_t out_row;
};
static_assert(sizeof(AttentionShape) == 112);

// Keys [begin, end); none where they are equal.
struct KeyRange {
  int begin;
  int end;
};

// As KeyRanges on the CPU: from the list, if there is one, else from the window.
__device__ inline KeyRange key_range(const AttentionShape& shape, const int2* ranges, int item, int query) {
  if (ranges != nullptr) {
    const int2 range = ranges[item * shape.ranges_item + query];
    return {range.x, range.y};
  }
  const int64_t begin = min(max(static_cast<int64_t>(query) - shape.before, int64_t{0}), int64_t{shape.keys});
  const int64_t end = min(max(static_cast<int64_t>(query) + shape.after + 1, begin), int64_t{shape.keys});
  return {static_cast<int>(begin), static_cast<int>(end)};
}

}  // namespace nibble
