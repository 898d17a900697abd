#pragma once
/// \file
/// The PTX that attention is made of (sm_80 and up): asynchronous copies to shared memory, matrix
/// fragments from it, tensor-core products; and the layout of a tile in shared memory.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>

namespace apb::cuda {

/// Address in shared memory, as PTX takes it.
__device__ inline std::uint32_t shared_address(const void* pointer) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(pointer));
}

/// Copies 16 bytes without waiting; zeroes them, reading nothing, where `there` is false.
__device__ inline void copy_async(std::uint32_t to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(there ? 16 : 0));
}
/// Waits for this thread's copies.
__device__ inline void wait_for_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

/// Four 8 x 8 matrices of 16-bit elements; lane l gives the address of row l % 8 of matrix l / 8.
/// Lane l receives of each matrix the elements (l / 4, 2 (l % 4) + {0, 1}).
__device__ inline void load_matrices(std::uint32_t (&fragment)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(address));
}
/// The same of the transposed matrices.
__device__ inline void load_transposed(std::uint32_t (&fragment)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(address));
}

/// What depends on the element type.
template <class T>
struct Element;

template <>
struct Element<__nv_bfloat16> {
  static constexpr std::uint32_t kExponent = 0x7F80;  ///< all ones: infinity or NaN
  __device__ static std::uint32_t pack(float low, float high) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
  __device__ static float2 unpack(std::uint32_t bits) {
    return __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(bits));
  }
  /// sum [16, 8] += a [16, 16] b [16, 8], fp32 sums. Lane l holds of sum the elements
  /// (l / 4, 2 (l % 4) + {0, 1}) and, in its upper half, those 8 rows below.
  __device__ static void multiply_add(float (&sum)[4], const std::uint32_t (&a)[4],
                                      std::uint32_t b0, std::uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
};

template <>
struct Element<__half> {
  static constexpr std::uint32_t kExponent = 0x7C00;
  __device__ static std::uint32_t pack(float low, float high) {
    const __half2 pair = __floats2half2_rn(low, high);
    return reinterpret_cast<const std::uint32_t&>(pair);
  }
  __device__ static float2 unpack(std::uint32_t bits) {
    return __half22float2(reinterpret_cast<const __half2&>(bits));
  }
  __device__ static void multiply_add(float (&sum)[4], const std::uint32_t (&a)[4],
                                      std::uint32_t b0, std::uint32_t b1) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }
};

/// A tile [rows, kHeadDim] of 16-bit elements in shared memory. Chunks of 16 bytes are swizzled
/// within a row, chunk c of row r lying at c ^ (r % 8), so that 8 rows of one chunk column, which
/// is what a matrix load reads, lie in 32 different banks. The base is a multiple of the row's
/// bytes.
template <int kHeadDim>
struct SharedTile {
  static constexpr int kChunks = kHeadDim / 8;
  static constexpr int kRowBytes = 2 * kHeadDim;
  std::uint32_t base;

  __device__ std::uint32_t chunk(int row, int chunk) const {
    return base + static_cast<std::uint32_t>(row * kRowBytes + ((chunk ^ (row & 7)) << 4));
  }

  /// The chunk `step` (even) columns after a chunk at an even column or its right neighbour: a
  /// swizzle by xor makes this one instruction. Rows 8, 16, … below lie at constant distances.
  __device__ static std::uint32_t step(std::uint32_t address, int step) {
    return address ^ static_cast<std::uint32_t>(step << 4);
  }

  /// Starts copying kRows rows, all threads of the block together; rows from `rows_there` on, which
  /// may not exist, become zero.
  template <int kRows, int kThreads, class T>
  __device__ void fill(const T* source, std::int64_t row_stride, int rows_there) const {
    constexpr int kRowsAtOnce = kThreads / kChunks;
    static_assert(kThreads % kChunks == 0 && kRows % kRowsAtOnce == 0 && kRowsAtOnce % 8 == 0);
    const int first_row = static_cast<int>(threadIdx.x) / kChunks;
    const int column = static_cast<int>(threadIdx.x) % kChunks;
    const T* from = source + first_row * row_stride + 8 * column;
    std::uint32_t to = chunk(first_row, column);
#pragma unroll
    for (int row = 0; row < kRows; row += kRowsAtOnce) {
      copy_async(to, from, first_row + row < rows_there);
      from += kRowsAtOnce * row_stride;
      to += kRowsAtOnce * kRowBytes;
    }
  }
};

__device__ inline uint4 read_shared(std::uint32_t address) {
  uint4 value;
  asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "r"(address)
               : "memory");
  return value;
}
__device__ inline std::uint32_t read_shared_pair(std::uint32_t address) {
  std::uint32_t value;
  asm volatile("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
  return value;
}
__device__ inline void write_shared_pair(std::uint32_t address, std::uint32_t value) {
  asm volatile("st.shared.b32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}

/// 2^x to 2 units in the last place; 0 for -inf, NaN for NaN.
__device__ inline float exp2_approx(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

}  // namespace apb::cuda
