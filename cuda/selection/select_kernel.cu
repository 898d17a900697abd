// Exact top-k by radix selection, fused with the copy of the kept rows.
//
// Several thread blocks share a KV head, and each of them finds the whole head's threshold by
// itself; then each writes and copies its own part of the kept rows. So no block waits for another,
// nothing is left in memory for the next launch, and no order of arrival can show: counts are sums
// of integers, and every kept row's place follows from counts alone. There is no list of a limited
// length that a distribution of scores could overflow.
//
//   1. Importances become 32-bit keys whose order is the contract's; in shared memory, if they fit.
//   2. Three histograms, of 11, 11 and 10 bits, give the num_kept-th largest key, the threshold,
//   and
//      how many of the keys equal to it are kept: those of the lowest rows.
//   3. Each warp counts the larger and the equal keys of its share of the rows; sums over the warps
//      before it give the place of its first kept row, and the rows are listed in order.
//   4. The block copies its rows of K and V and zeroes what the buffer has beyond num_kept.

#include <algorithm>

#include "cuda/check.hpp"
#include "cuda/device_heads.hpp"
#include "cuda/selection/select_kernel.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr int kBins = 2048;
constexpr unsigned kAllLanes = ~0U;

/// Larger importance, larger key: NaN 0, then -inf … +inf; both zeros the same.
__device__ unsigned ordered_key(float importance) {
  if (isnan(importance)) return 0;
  unsigned bits = __float_as_uint(importance);
  if (bits == 0x80000000U) bits = 0;
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}

__device__ int lane() {
  return static_cast<int>(threadIdx.x) % 32;
}
__device__ int warp() {
  return static_cast<int>(threadIdx.x) / 32;
}

/// The keys of one KV head: from shared memory, or made from the importances again and again.
template <class Score>
struct Keys {
  const Score* importance;  ///< of this head
  std::int64_t stride;
  int count;
  unsigned* shared;  ///< null if they do not fit

  __device__ unsigned from_importance(int row) const {
    return ordered_key(static_cast<float>(importance[row * stride]));
  }
  __device__ unsigned operator[](int row) const {
    return shared != nullptr ? shared[row] : from_importance(row);
  }
};

/// Shared memory besides keys and list.
struct Room {
  int bins[kBins];
  int warp_sums[kWarps];
  int larger_before[kWarps], equal_before[kWarps];
  int chosen_bin, still_wanted;
  int nans;
};

/// Rows in steps of the block's threads, all of which stay together.
template <class Body>
__device__ void for_rows(int count, const Body& body) {
  for (int first = 0; first < count; first += kThreads) {
    const int row = first + static_cast<int>(threadIdx.x);
    body(row, row < count);
  }
}

/// bins[bin] += 1 for every lane that counts. Where all name one bin, as they do when scores are
/// alike, one lane adds for all.
__device__ void count_into(int* bins, int bin, bool counts) {
  const unsigned counting = __ballot_sync(kAllLanes, counts);
  if (counting == 0) return;
  const int leader = __ffs(static_cast<int>(counting)) - 1;
  const int leaders_bin = __shfl_sync(kAllLanes, bin, leader);
  if (__all_sync(kAllLanes, !counts || bin == leaders_bin)) {
    if (lane() == leader) atomicAdd(&bins[bin], __popc(counting));
  } else if (counts) {
    atomicAdd(&bins[bin], 1);
  }
}

/// Finds the bin, from the highest down, in which the wanted-th key lies, and how many are wanted
/// of that bin: room.chosen_bin, room.still_wanted.
__device__ void choose_bin(Room& room, int wanted) {
  // Thread t has the bins kBins - 1 - 2 t and the one below: scan their sums.
  const int high = kBins - 1 - 2 * static_cast<int>(threadIdx.x);
  const int in_high = room.bins[high], in_both = in_high + room.bins[high - 1];
  int sum = in_both;
  for (int step = 1; step < 32; step *= 2) {
    const int other = __shfl_up_sync(kAllLanes, sum, step);
    if (lane() >= step) sum += other;
  }
  if (lane() == 31) room.warp_sums[warp()] = sum;
  __syncthreads();
  int before = sum - in_both;
  for (int w = 0; w < warp(); ++w) before += room.warp_sums[w];
  if (before < wanted && wanted <= before + in_both) {
    const bool is_high = wanted <= before + in_high;
    room.chosen_bin = is_high ? high : high - 1;
    room.still_wanted = wanted - before - (is_high ? 0 : in_high);
  }
  __syncthreads();
}

struct Threshold {
  unsigned key;
  int equal_kept;  ///< how many of the keys equal to it are kept
};

/// The num_kept-th largest key; num_kept from 1 to the number of keys.
template <class Score>
__device__ Threshold find_threshold(const Keys<Score>& keys, int num_kept, Room& room) {
  unsigned prefix = 0, known_bits = 0;
  int wanted = num_kept;
  for (int shift : {21, 10, 0}) {
    const int bins = shift == 0 ? 1024 : kBins;
    for (int bin = static_cast<int>(threadIdx.x); bin < kBins; bin += kThreads) room.bins[bin] = 0;
    __syncthreads();
    for_rows(keys.count, [&](int row, bool is_row) {
      const unsigned key = is_row ? keys[row] : 0;
      const bool counts = is_row && (key & known_bits) == prefix;
      count_into(room.bins, static_cast<int>(key >> shift) & (bins - 1), counts);
    });
    __syncthreads();
    choose_bin(room, wanted);
    prefix |= static_cast<unsigned>(room.chosen_bin) << shift;
    known_bits |= static_cast<unsigned>(bins - 1) << shift;
    wanted = room.still_wanted;
    __syncthreads();  // before the bins are used again
  }
  return {prefix, wanted};
}

/// Lists the kept rows whose places are [first_place, end_place), ascending.
template <class Score>
__device__ void list_rows(const Keys<Score>& keys, const Threshold& threshold, int first_place,
                          int end_place, int* list, Room& room) {
  const int share = (keys.count + kThreads - 1) / kThreads * 32;  // rows of a warp
  const int begin = min(warp() * share, keys.count), end = min(begin + share, keys.count);
  const auto for_own_rows = [&](const auto& body) {
    for (int first = begin; first < end; first += 32) {
      const int row = first + lane();
      const unsigned key = row < end ? keys[row] : 0;
      body(row, __ballot_sync(kAllLanes, row < end && key > threshold.key),
           __ballot_sync(kAllLanes, row < end && key == threshold.key));
    }
  };
  int larger = 0, equal = 0;
  for_own_rows([&](int, unsigned larger_lanes, unsigned equal_lanes) {
    larger += __popc(larger_lanes);
    equal += __popc(equal_lanes);
  });
  if (lane() == 0) {
    room.larger_before[warp()] = larger;
    room.equal_before[warp()] = equal;
  }
  __syncthreads();
  larger = equal = 0;
  for (int w = 0; w < warp(); ++w) {
    larger += room.larger_before[w];
    equal += room.equal_before[w];
  }
  const unsigned lower_lanes = (1U << lane()) - 1;
  for_own_rows([&](int row, unsigned larger_lanes, unsigned equal_lanes) {
    const int equal_here = equal + __popc(equal_lanes & lower_lanes);
    const int place =
        larger + __popc(larger_lanes & lower_lanes) + min(equal_here, threshold.equal_kept);
    const bool is_larger = (larger_lanes >> lane() & 1) != 0;
    const bool is_equal = (equal_lanes >> lane() & 1) != 0;
    const bool is_kept = is_larger || (is_equal && equal_here < threshold.equal_kept);
    if (is_kept && place >= first_place && place < end_place) list[place - first_place] = row;
    larger += __popc(larger_lanes);
    equal += __popc(equal_lanes);
  });
  __syncthreads();
}

/// Fills the rows [first_place, end_place) of one KV head in the send buffer.
template <class Score>
__device__ void pack(const SelectArguments<Score>& arguments, int head, int first_place,
                     int end_place, const int* list) {
  const int pieces = arguments.pieces;
  const std::int64_t half =
      static_cast<std::int64_t>(arguments.num_kv_heads) * arguments.capacity * pieces;
  uint4* out =
      arguments.send_buffer + (static_cast<std::int64_t>(head) * arguments.capacity) * pieces;
  const uint4* key = arguments.key.first + head * arguments.key.head_stride;
  const uint4* value = arguments.value.first + head * arguments.value.head_stride;
  const std::int64_t total = static_cast<std::int64_t>(end_place - first_place) * pieces;
  for (std::int64_t i = threadIdx.x; i < total; i += kThreads) {
    const int place = first_place + static_cast<int>(i / pieces);
    const int piece = static_cast<int>(i % pieces);
    uint4 key_piece = make_uint4(0, 0, 0, 0), value_piece = key_piece;
    if (place < arguments.num_kept) {
      const std::int64_t row = list[place - first_place];
      key_piece = key[row * arguments.key.row_stride + piece];
      value_piece = value[row * arguments.value.row_stride + piece];
    }
    out[static_cast<std::int64_t>(place) * pieces + piece] = key_piece;
    out[half + static_cast<std::int64_t>(place) * pieces + piece] = value_piece;
  }
}

/// Rows of the buffer that a thread block fills.
__host__ __device__ constexpr int rows_per_block(int capacity, int blocks) {
  return (capacity + blocks - 1) / blocks;
}

/// Grid: (thread blocks that share a head, heads).
template <class Score>
__global__ void __launch_bounds__(kThreads)
    select_kernel(const __grid_constant__ SelectArguments<Score> arguments, bool keys_fit) {
  extern __shared__ __align__(16) unsigned char shared[];
  Room& room = *reinterpret_cast<Room*>(shared);
  int* list = reinterpret_cast<int*>(shared + sizeof(Room));
  const int head = static_cast<int>(blockIdx.y);
  const int places = rows_per_block(arguments.capacity, static_cast<int>(gridDim.x));
  const int first_place = min(static_cast<int>(blockIdx.x) * places, arguments.capacity);
  const int end_place = min(first_place + places, arguments.capacity);
  const bool counts_nans = arguments.nan_counts != nullptr && blockIdx.x == 0;

  Keys<Score> keys{arguments.importance + head, arguments.importance_stride, arguments.candidates,
                   keys_fit ? reinterpret_cast<unsigned*>(list + places) : nullptr};
  if (threadIdx.x == 0) room.nans = 0;
  __syncthreads();
  if (keys_fit || counts_nans) {
    for_rows(keys.count, [&](int row, bool is_row) {
      const unsigned key = is_row ? keys.from_importance(row) : 1;
      if (is_row && keys_fit) keys.shared[row] = key;
      if (counts_nans && key == 0) atomicAdd(&room.nans, 1);
    });
    __syncthreads();
  }
  if (counts_nans && threadIdx.x == 0) arguments.nan_counts[head] = room.nans;

  if (first_place < min(end_place, arguments.num_kept)) {
    const Threshold threshold = find_threshold(keys, arguments.num_kept, room);
    list_rows(keys, threshold, first_place, end_place, list, room);
    for (int place = first_place + static_cast<int>(threadIdx.x);
         place < min(end_place, arguments.num_kept); place += kThreads) {
      arguments.positions[static_cast<std::int64_t>(head) * arguments.num_kept + place] =
          arguments.first_doc_pos + list[place - first_place];
    }
  }
  pack(arguments, head, first_place, end_place, list);
}

int device_attribute(cudaDeviceAttr attribute) {
  int device = 0, value = 0;
  check(cudaGetDevice(&device));
  check(cudaDeviceGetAttribute(&value, attribute, device));
  return value;
}

}  // namespace

template <class Score>
void launch_select(const SelectArguments<Score>& arguments, cudaStream_t stream) {
  const auto room_for =
      static_cast<std::size_t>(device_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin));
  const int processors = device_attribute(cudaDevAttrMultiProcessorCount);
  const std::size_t key_bytes = sizeof(unsigned) * static_cast<std::size_t>(arguments.candidates);
  // As many blocks as run at once; fewer where each must read all importances from memory again,
  // and never one for less than 16 rows.
  const int most = std::max(
      1, std::min(processors / arguments.num_kv_heads, rows_per_block(arguments.capacity, 1) / 16));
  const auto bytes_without_keys = [&](int blocks) {
    return sizeof(Room) +
           sizeof(int) * static_cast<std::size_t>(rows_per_block(arguments.capacity, blocks));
  };
  const bool keys_fit = bytes_without_keys(most) + key_bytes <= room_for;
  int blocks = keys_fit ? most : std::min(most, 4);
  while (bytes_without_keys(blocks) > room_for) blocks *= 2;  // a list too long for one block
  const std::size_t bytes = bytes_without_keys(blocks) + (keys_fit ? key_bytes : 0);

  const auto kernel = select_kernel<Score>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)));
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(arguments.num_kv_heads));
  kernel<<<grid, kThreads, bytes, stream>>>(arguments, keys_fit);
  check_launch();
}

template void launch_select(const SelectArguments<float>&, cudaStream_t);
template void launch_select(const SelectArguments<Bfloat16>&, cudaStream_t);
template void launch_select(const SelectArguments<Float16>&, cudaStream_t);

}  // namespace apb::cuda
