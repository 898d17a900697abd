#include "cuda/model/gather_rows.hpp"

#include <algorithm>

#include "cuda/device_buffer.hpp"
#include "cuda/model/gather_kernel.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {

template <class T>
void gather_rows(const DeviceRows<const T>& table, std::span<const Index> rows,
                 const DeviceRows<T>& out, cudaStream_t stream) {
  constexpr const char* kWhere = "cuda gather_rows";
  if (out.rows != std::ssize(rows) || out.columns != table.columns) {
    throw BadInput(kWhere, "out shape", fmt::format("{} x {}", out.rows, out.columns),
                   fmt::format("{} x {}", rows.size(), table.columns));
  }
  if (table.columns % 2 != 0 || table.row_stride % 2 != 0 || out.row_stride % 2 != 0) {
    throw BadInput(kWhere, "columns", table.columns, "even, as are row strides");
  }
  if (rows.empty()) return;
  const auto [least, most] = std::minmax_element(rows.begin(), rows.end());
  if (*least < 0 || *most >= table.rows) {
    throw BadInput(kWhere, "row", *least < 0 ? *least : *most,
                   fmt::format("0 to {}", table.rows - 1));
  }
  const DeviceBuffer<Index> there(rows.size());
  copy_to_device(rows, there.data(), stream);
  launch_gather(table, there.data(), out, stream);
  check(cudaStreamSynchronize(stream));  // `there` is freed now
}

template void gather_rows(const DeviceRows<const Bfloat16>&, std::span<const Index>,
                          const DeviceRows<Bfloat16>&, cudaStream_t);
template void gather_rows(const DeviceRows<const Float16>&, std::span<const Index>,
                          const DeviceRows<Float16>&, cudaStream_t);

}  // namespace apb::cuda
