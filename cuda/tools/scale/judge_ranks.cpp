#include "cuda/tools/scale/judge_ranks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "cuda/multi/block_method.hpp"
#include "cuda/multi/copy_columns.hpp"
#include "cuda/tools/bench/host_copies.hpp"
#include "cuda/tools/bench/judge_layer.hpp"
#include "reference/core/error.hpp"
#include "reference/core/standard_error.hpp"
#include "reference/verify/failing_rows.hpp"
#include "reference/verify/judge.hpp"

namespace apb::cuda {
namespace {

/// Rows of a rank that are judged, about.
constexpr Index kJudgedRows = 24;

using Bits = std::vector<std::uint16_t>;

/// Counts checks of this rank and says which fail.
class Tally {
 public:
  explicit Tally(int rank) : rank_(rank) {}
  void check(bool right, const std::string& what) {
    ++checks_;
    if (right) return;
    right_ = false;
    print_to_stderr(fmt::format("rank {}: {}: WRONG\n", rank_, what));
  }
  void add(const std::string& method, const Judgement& judgement) {
    for (const Verdict& verdict : judgement.verdicts) {
      check(verdict.pass, fmt::format("{} {}: error {:.3g} of {:.3g}", method, verdict.quantity,
                                      verdict.error, verdict.budget));
    }
    for (const RankDiagnosis& found : judgement.diagnoses) {
      print_to_stderr(fmt::format("rank {}: {}\n", rank_, found.diagnosis.quantities()));
    }
  }
  [[nodiscard]] bool right() const { return right_; }
  [[nodiscard]] Index checks() const { return checks_; }

 private:
  int rank_;
  bool right_ = true;
  Index checks_ = 0;
};

/// The first rows, whose attention weighs most, and others over the whole range and around its
/// middle, where a rank's two chunks meet.
std::vector<Index> sampled_rows(Index rows) {
  std::vector<Index> sample{0, 1, 2, 3, rows / 2 - 1, rows / 2, rows - 1};
  for (Index i = 0; i < kJudgedRows; ++i) sample.push_back(i * (rows - 1) / (kJudgedRows - 1));
  std::sort(sample.begin(), sample.end());
  sample.erase(std::unique(sample.begin(), sample.end()), sample.end());
  return sample;
}

/// The bits of rows on the device, dense.
Bits host_bits(const DeviceRows<const Bfloat16>& rows, cudaStream_t stream) {
  Bits bits(static_cast<std::size_t>(rows.rows * rows.columns));
  const std::size_t width = static_cast<std::size_t>(rows.columns) * sizeof(Bfloat16);
  check(cudaMemcpy2DAsync(bits.data(), width, rows.data,
                          static_cast<std::size_t>(rows.row_stride) * sizeof(Bfloat16), width,
                          static_cast<std::size_t>(rows.rows), cudaMemcpyDeviceToHost, stream));
  check(cudaStreamSynchronize(stream));
  return bits;
}

double value_of(std::uint16_t bits) {
  const std::uint32_t wide = std::uint32_t{bits} << 16U;
  float value = 0;
  std::memcpy(&value, &wide, sizeof value);
  return static_cast<double>(value);
}

/// Keys or values of the whole document in its order, from the ranks that computed them. A room
/// that has all rows gives its own.
std::shared_ptr<const HeadsTensor<double>> in_document_order(const DeviceHeads<Bfloat16>& own,
                                                             const std::vector<Index>& positions,
                                                             Index doc_len,
                                                             const Together& together,
                                                             cudaStream_t stream) {
  std::vector<Bits> parts{host_bits(as_rows(own), stream)};
  std::vector<std::vector<Index>> places{positions};
  if (std::ssize(positions) < doc_len) {
    parts = together.gather(parts.front());
    places = together.gather(positions);
  }
  auto all = std::make_shared<HeadsTensor<double>>(doc_len, own.heads, own.head_dim);
  const Index columns = own.heads * own.head_dim;
  for (std::size_t part = 0; part < parts.size(); ++part) {
    for (std::size_t row = 0; row < places[part].size(); ++row) {
      const auto from = parts[part].begin() + static_cast<std::ptrdiff_t>(row) * columns;
      std::transform(from, from + columns, all->view().at(places[part][row], 0), value_of);
    }
  }
  return all;
}

/// Attention of sampled rows against exact attention over the document.
Judgement judge_exact(MethodLayer& layer, Index doc_len, const Together& together) {
  (void)layer.run([](cudaStream_t /*stream*/) {});
  const Stream stream;
  const LayerRoom<Bfloat16>& room = layer.room();
  const auto key =
      in_document_order(room.key(), layer.positions(), doc_len, together, stream.get());
  const auto value =
      in_document_order(room.value(), layer.positions(), doc_len, together, stream.get());
  const HeadsTensor<double> query = host_heads(room.query(), stream.get());
  const Index group = room.num_q_heads / room.num_kv_heads;
  AttentionSetup setup;
  setup.query = query.view();
  setup.softmax_scale = 1 / std::sqrt(static_cast<double>(room.head_dim));
  setup.kv_head = [group](Index head) { return head / group; };
  setup.keys.push_back({key->view(), value->view(), [&](Index row) {
                          return layer.positions()[static_cast<std::size_t>(row)] + 1;
                        }});
  const std::vector<Index> sample = sampled_rows(room.rows);
  std::vector<Index> heads(static_cast<std::size_t>(room.num_q_heads));
  std::iota(heads.begin(), heads.end(), Index{0});
  Matrix<double> lse;
  if (layer.lse() != nullptr) {
    lse = pick(
        host_matrix<float>(DeviceRows<const float>::dense(layer.lse(), room.rows, room.num_q_heads),
                           stream.get()),
        sample, heads);
  }
  Judgement judgement;
  judge_attention({.setup = setup,
                   .case_file = nullptr,
                   .rank = nullptr,
                   .precision = {ValueType::kBfloat16, ValueType::kBfloat16},
                   .compute_type = ValueType::kBfloat16},
                  together.rank(), "", sample,
                  pick(host_heads(room.out(), stream.get()), sample, heads), lse, judgement);
  return judgement;
}

/// The largest difference from Full's rows after the layer, relative, over sampled rows.
double distance_from_full(const MethodLayer& layer, const MethodLayer& full) {
  const Stream stream;
  double largest = 0;
  for (const Index row : sampled_rows(layer.room().rows)) {
    const Index position = layer.positions()[static_cast<std::size_t>(row)];
    const auto own = host_matrix<Bfloat16>(layer.room().hidden_rows().slice(row, 1), stream.get());
    const auto wanted =
        host_matrix<Bfloat16>(full.room().hidden_rows().slice(position, 1), stream.get());
    const double distance = (own - wanted).norm() / wanted.norm();
    if (!(distance <= largest)) largest = distance;  // NaN stays
  }
  return largest;
}

/// Whether what the all-gather left is what each rank sent, bit for bit.
bool arrived_as_sent(BlockLayer& layer, const Together& together) {
  const PassingRoom<Bfloat16>& passing = layer.passing();
  const auto size = static_cast<Index>(passing.kept.size());
  const cudaStream_t stream = layer.rank().stream.get();
  const auto sent = together.gather(host_bits({passing.kept.data(), 1, size, size}, stream));
  bool same = true;
  for (int rank = 0; rank < together.num_ranks(); ++rank) {
    const Bfloat16* slice = passing.gathered.data() + rank * size;
    same =
        same && host_bits({slice, 1, size, size}, stream) == sent[static_cast<std::size_t>(rank)];
  }
  return same;
}

}  // namespace

Index judge_ranks(const std::vector<std::string>& methods, const ApbConfig& apb,
                  const DeviceModel<Bfloat16>& model, Partners& partners, const Together& together,
                  const std::function<void(const std::string&)>& progress) {
  Tally tally(together.rank());
  // Every rank has Full to itself.
  const auto full = make_method_layer("full", apb, model, partners);
  progress("judging full");
  tally.add("full", judge_exact(*full, apb.doc_len, together));
  for (const std::string& method : methods) {
    if (method == "full") continue;
    progress("judging " + method);
    std::unique_ptr<MethodLayer> layer;
    try {
      layer = make_method_layer(method, apb, model, partners);
    } catch (const BadInput&) {
      continue;  // it is refused alike on all ranks
    }
    if (auto* block = dynamic_cast<BlockMethod*>(layer.get()); block != nullptr) {
      tally.add(method, judge_layer(block->layer(), kJudgedRows));
      if (block->layer().rank().passes()) {
        tally.check(arrived_as_sent(block->layer(), together), method + " what arrived");
      }
      continue;
    }
    tally.add(method, judge_exact(*layer, apb.doc_len, together));
    const double distance = distance_from_full(*layer, *full);
    tally.check(distance <= kMostFromFull,
                fmt::format("{} after the layer: {:.3g} from Full, allowed {:.3g}", method,
                            distance, kMostFromFull));
  }
  const bool right = together.all(tally.right());
  Index checks = 0;
  for (const auto& its : together.gather<Index>({tally.checks()})) checks += its.front();
  return right ? checks : 0;
}

}  // namespace apb::cuda
