#include "reference/verify/plugin_memory.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "reference/core/error.hpp"

namespace apb {
namespace {

template <class Element>
void store(std::byte* to, double value) {
  const auto element = static_cast<Element>(static_cast<float>(value));
  std::memcpy(to, &element, sizeof element);
}

template <class Element>
double load(const std::byte* from) {
  Element element;
  std::memcpy(&element, from, sizeof element);
  return static_cast<double>(static_cast<float>(element));
}

void store_as(ValueType type, std::byte* to, double value) {
  if (type == ValueType::kBfloat16) return store<Eigen::bfloat16>(to, value);
  if (type == ValueType::kFloat16) return store<Eigen::half>(to, value);
  store<float>(to, value);
}

double load_as(ValueType type, const std::byte* from) {
  if (type == ValueType::kBfloat16) return load<Eigen::bfloat16>(from);
  if (type == ValueType::kFloat16) return load<Eigen::half>(from);
  return load<float>(from);
}

std::byte* map(int descriptor, std::size_t bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) throw CannotRun("plug-in: no memory to share with its process");
  return static_cast<std::byte*>(data);
}

int make_descriptor(std::size_t bytes) {
  const int descriptor = memfd_create("apb-plugin-call", 0);
  if (descriptor < 0 || ftruncate(descriptor, static_cast<off_t>(bytes)) != 0) {
    throw CannotRun("plug-in: no memory to share with its process");
  }
  return descriptor;
}

}  // namespace

SharedMemory::SharedMemory(std::size_t bytes)
    : descriptor_(make_descriptor(bytes)), bytes_(bytes), data_(map(descriptor_, bytes)) {
  std::memset(data_, 0xff, bytes);  // NaN in every type here
}

SharedMemory::SharedMemory(int descriptor, std::size_t bytes)
    : descriptor_(descriptor), bytes_(bytes), data_(map(descriptor, bytes)) {}

SharedMemory::~SharedMemory() {
  munmap(data_, bytes_);
  close(descriptor_);
}

void place(const TensorPlace& where, apb_tensor& tensor) {
  tensor.data = reinterpret_cast<void*>(where.offset);
  tensor.rows = where.rows;
  tensor.batch_stride = static_cast<std::int64_t>(where.batch_stride());
  tensor.row_stride = static_cast<std::int64_t>(where.row_stride());
  tensor.head_stride = static_cast<std::int64_t>(where.head_stride());
}

void map_pointers(apb_attention_call& call, std::byte* memory) {
  for (apb_tensor* tensor :
       {&call.query, &call.anchor.key, &call.anchor.value, &call.passing.key, &call.passing.value,
        &call.block.key, &call.block.value, &call.out, &call.lse}) {
    tensor->data = memory + reinterpret_cast<std::size_t>(tensor->data);
  }
}

void write_tensor(std::byte* memory, const TensorPlace& where, Index batch,
                  const HeadsView<const double>& values) {
  for (Index row = 0; row < where.rows; ++row) {
    for (Index head = 0; head < where.heads; ++head) {
      for (std::size_t element = 0; element < static_cast<std::size_t>(where.head_dim); ++element) {
        store_as(where.type,
                 memory + where.offset_of(batch, row, head) + element * where.element_bytes(),
                 values.at(row, head)[element]);
      }
    }
  }
}

HeadsTensor<double> read_tensor(const std::byte* memory, const TensorPlace& where, Index batch) {
  HeadsTensor<double> values(where.rows, where.heads, where.head_dim);
  for (Index row = 0; row < where.rows; ++row) {
    for (Index head = 0; head < where.heads; ++head) {
      for (std::size_t element = 0; element < static_cast<std::size_t>(where.head_dim); ++element) {
        values.view().at(row, head)[element] =
            load_as(where.type,
                    memory + where.offset_of(batch, row, head) + element * where.element_bytes());
      }
    }
  }
  return values;
}

}  // namespace apb
