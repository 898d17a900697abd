#include "reference/verify/plugin_call.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>
#include <thread>

#include "reference/core/error.hpp"
#include "reference/verify/plugin_memory.hpp"

namespace apb {
namespace {

/// First argument of a process that makes one call: then the memory's descriptor, its size, the
/// library.
constexpr std::string_view kServe = "--serve-plugin-call";

/// Exit codes of that process that are not the plug-in's status.
constexpr int kServed = 0;
constexpr int kNoLibrary = 101;
constexpr int kNoFunction = 102;

/// At the start of the shared memory.
struct CallRecord {
  apb_attention_call call;
  int status;                        ///< what the plug-in returned
  int returned;                      ///< 1 once it has
  std::array<char, 256> load_error;  ///< why the library cannot be loaded
};

/// The tensors of a call, one after another behind the record.
struct CallPlaces {
  TensorPlace query, anchor_key, anchor_value, passing_key, passing_value, block_key, block_value,
      out, lse;
  std::size_t bytes = 0;

  CallPlaces(const ApbConfig& config, const RankLayout& layout, Index batch, ValueType type) {
    bytes = 4096;  // the record, and room before the first tensor
    const auto next = [&](Index rows, Index heads, Index head_dim, ValueType of) {
      const TensorPlace where{bytes, batch, rows, heads, head_dim, of};
      bytes += (where.bytes() + 255) / 256 * 256 + 256;
      return where;
    };
    const Index kv_heads = config.num_kv_heads;
    const Index head_dim = config.head_dim;
    query = next(layout.rows(), config.num_q_heads, head_dim, type);
    anchor_key = next(layout.anchor_rows, kv_heads, head_dim, type);
    anchor_value = next(layout.anchor_rows, kv_heads, head_dim, type);
    passing_key = next(layout.passing_rows, kv_heads, head_dim, type);
    passing_value = next(layout.passing_rows, kv_heads, head_dim, type);
    block_key = next(layout.block_len, kv_heads, head_dim, type);
    block_value = next(layout.block_len, kv_heads, head_dim, type);
    out = next(layout.rows(), config.num_q_heads, head_dim, type);
    lse = next(layout.rows(), config.num_q_heads, 1, ValueType::kFloat32);
  }
};

int dtype_of(ValueType type) {
  if (type == ValueType::kBfloat16) return APB_BFLOAT16;
  return type == ValueType::kFloat16 ? APB_FLOAT16 : APB_FLOAT32;
}

void write_record(const ApbConfig& config, Index batch, ValueType type, const CallPlaces& places,
                  CallRecord& record) {
  record = {};
  apb_attention_call& call = record.call;
  call.abi_version = APB_ABI_VERSION;
  call.dtype = dtype_of(type);
  call.batch = batch;
  call.num_q_heads = config.num_q_heads;
  call.num_kv_heads = config.num_kv_heads;
  call.head_dim = config.head_dim;
  call.softmax_scale = config.softmax_scale;
  place(places.query, call.query);
  place(places.anchor_key, call.anchor.key);
  place(places.anchor_value, call.anchor.value);
  place(places.passing_key, call.passing.key);
  place(places.passing_value, call.passing.value);
  place(places.block_key, call.block.key);
  place(places.block_value, call.block.value);
  place(places.out, call.out);
  place(places.lse, call.lse);
}

void write_inputs(std::byte* memory, const CallPlaces& places, Index batch, const CaseRank& item) {
  const Index anchor = item.layout.anchor_rows;
  const Index block = item.layout.block_len;
  write_tensor(memory, places.query, batch, item.query.view());
  write_tensor(memory, places.anchor_key, batch, item.key.view().slice(0, anchor));
  write_tensor(memory, places.anchor_value, batch, item.value.view().slice(0, anchor));
  write_tensor(memory, places.passing_key, batch, item.passing_key.view());
  write_tensor(memory, places.passing_value, batch, item.passing_value.view());
  write_tensor(memory, places.block_key, batch, item.key.view().slice(anchor, block));
  write_tensor(memory, places.block_value, batch, item.value.view().slice(anchor, block));
}

/// Becomes a process that makes the call. Its standard output is our standard error.
[[noreturn]] void become_server(const SharedMemory& memory, const std::string& library) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  setsid();
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  const std::string descriptor = std::to_string(memory.descriptor());
  const std::string bytes = std::to_string(memory.bytes());
  execl("/proc/self/exe", "apb-verify", kServe.data(), descriptor.c_str(), bytes.c_str(),
        library.c_str(), nullptr);
  _exit(kNoLibrary);
}

/// Waits for a process; ends it and all that it started when the time is over.
/// \returns its status; nothing if it ran out of time
std::optional<int> wait_for(pid_t child, double timeout_s) {
  using std::chrono::steady_clock;
  const auto end = steady_clock::now() + std::chrono::duration<double>(timeout_s);
  auto pause = std::chrono::microseconds(200);
  int status = 0;
  while (true) {
    const pid_t ended = waitpid(child, &status, WNOHANG);
    if (ended == child) return status;
    if (ended < 0 && errno != EINTR) throw CannotRun("plug-in: lost its process");
    if (steady_clock::now() >= end) break;
    std::this_thread::sleep_for(pause);
    pause = std::min(pause * 2, std::chrono::microseconds(20000));
  }
  kill(-child, SIGKILL);
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return std::nullopt;
}

/// Why a call is no success; empty if it is one.
std::string failure(const std::optional<int>& status, const CallRecord& record,
                    const PluginHost& host) {
  if (!status) return fmt::format("hangs: killed after {:g} s (see --timeout)", host.timeout_s);
  if (WIFSIGNALED(*status)) {
    return fmt::format("crashes: {} (signal {})", strsignal(WTERMSIG(*status)), WTERMSIG(*status));
  }
  const int code = WEXITSTATUS(*status);
  if (code == kNoLibrary) {
    throw BadInput(fmt::format("{}: cannot be loaded: {}", host.library, record.load_error.data()));
  }
  if (code == kNoFunction) throw BadInput(host.library + ": has no function apb_attention");
  if (record.returned != 1) return fmt::format("ends the process with exit code {}", code);
  if (record.status != APB_OK && record.status != APB_UNSUPPORTED) {
    return fmt::format("returns status {}", record.status);
  }
  return {};
}

/// Whether every byte outside out and lse is what it was.
bool rest_is_unchanged(const std::byte* now, std::vector<std::byte> before,
                       const CallPlaces& places) {
  for (const TensorPlace& written : {places.out, places.lse}) {
    const std::size_t head_bytes =
        static_cast<std::size_t>(written.head_dim) * written.element_bytes();
    for (Index batch = 0; batch < written.batch; ++batch) {
      for (Index row = 0; row < written.rows; ++row) {
        for (Index head = 0; head < written.heads; ++head) {
          const std::size_t at = written.offset_of(batch, row, head);
          std::memcpy(before.data() + at, now + at, head_bytes);
        }
      }
    }
  }
  const std::size_t first = places.query.offset;
  return std::memcmp(before.data() + first, now + first, places.bytes - first) == 0;
}

}  // namespace

PluginResult call_plugin(const PluginHost& host, const ApbConfig& config,
                         const std::vector<const CaseRank*>& items, ValueType type) {
  const auto batch = std::ssize(items);
  const CallPlaces places(config, items.front()->layout, batch, type);
  const SharedMemory memory(places.bytes);
  auto* record = reinterpret_cast<CallRecord*>(memory.data());
  write_record(config, batch, type, places, *record);
  for (Index i = 0; i < batch; ++i) {
    write_inputs(memory.data(), places, i, *items[static_cast<std::size_t>(i)]);
  }
  const std::vector<std::byte> before(memory.data(), memory.data() + memory.bytes());

  const pid_t child = fork();
  if (child < 0) throw CannotRun("plug-in: cannot start a process for it");
  if (child == 0) become_server(memory, host.library);
  const std::optional<int> status = wait_for(child, host.timeout_s);

  PluginResult result;
  result.why = failure(status, *record, host);
  if (!result.why.empty()) return result;
  if (record->status == APB_UNSUPPORTED) {
    result.ending = PluginEnding::kUnsupported;
    return result;
  }
  if (!rest_is_unchanged(memory.data(), before, places)) {
    result.why = "writes outside out and lse (into inputs or the gaps between rows)";
    return result;
  }
  result.ending = PluginEnding::kOk;
  for (Index i = 0; i < batch; ++i) {
    result.out.push_back(read_tensor(memory.data(), places.out, i));
    const HeadsTensor<double> lse = read_tensor(memory.data(), places.lse, i);
    result.lse.emplace_back(
        Eigen::Map<const Matrix<double>>(lse.values().data(), lse.rows(), lse.heads()));
  }
  return result;
}

void serve_plugin_call(int argc, char** argv) {
  const std::vector<std::string_view> arguments(argv, argv + argc);
  if (argc != 5 || arguments[1] != kServe) return;
  const SharedMemory memory(std::atoi(argv[2]), std::strtoull(argv[3], nullptr, 10));
  auto* record = reinterpret_cast<CallRecord*>(memory.data());
  void* library = dlopen(argv[4], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    std::snprintf(record->load_error.data(), record->load_error.size(), "%s", dlerror());
    _exit(kNoLibrary);
  }
  auto* function = reinterpret_cast<apb_attention_function*>(dlsym(library, "apb_attention"));
  if (function == nullptr) _exit(kNoFunction);
  apb_attention_call call = record->call;
  map_pointers(call, memory.data());
  record->status = function(&call);
  record->returned = 1;
  _exit(kServed);
}

}  // namespace apb
