#include "cuda/tools/bench/torch_peer.hpp"

#include <nlohmann/json.hpp>

#include "reference/cli/installed_files.hpp"
#include "reference/cli/subprocess.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {

PeerTimes time_by_torch(const std::string& python, std::span<const AttentionShape> shapes) {
  nlohmann::json questions = nlohmann::json::array();
  for (const AttentionShape& shape : shapes) {
    questions.push_back({{"causal", shape.causal},
                         {"q_len", shape.q_len},
                         {"kv_len", shape.kv_len},
                         {"num_q_heads", shape.num_q_heads},
                         {"num_kv_heads", shape.num_kv_heads},
                         {"head_dim", shape.head_dim}});
  }
  PeerTimes times;
  try {
    const SubprocessResult result =
        run_subprocess({python, own_file("cuda/tools/bench/torch_attention.py")}, questions.dump());
    const auto answer = nlohmann::json::parse(result.output, nullptr, false);
    if (result.exit_code != 0 || !answer.is_object()) {
      times.why_not = fmt::format("{} ended with {}", python, result.exit_code);
      return times;
    }
    times.why_not = answer.value("why_not", "");
    if (!times.why_not.empty()) return times;
    for (const nlohmann::json& seconds : answer.at("seconds")) {
      times.seconds.push_back(seconds.is_null() ? std::nullopt
                                                : std::optional(seconds.get<double>()));
    }
    times.peer = answer.at("peer");
  } catch (const CannotRun& error) {
    times.why_not = error.what();
  }
  return times;
}

}  // namespace apb::cuda
