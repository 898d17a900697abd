#include "tests/verify/rounding_kernels.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "reference/core/parallel_for.hpp"

namespace apb {
namespace {

using Floats = std::vector<float>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Random {
 public:
  explicit Random(std::uint64_t seed) : generator_(seed) {}

  double uniform() { return static_cast<double>(generator_() >> 11) * 0x1p-53; }  ///< [0, 1)
  /// Sum of twelve uniform numbers: standard deviation 1, on every machine the same.
  double normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return sum;
  }

 private:
  std::mt19937_64 generator_;
};

HeadsTensor<double> normal_heads(Random& random, Index rows, Index heads, Index head_dim) {
  HeadsTensor<double> tensor(rows, heads, head_dim);
  for (double& element : tensor.values()) element = random.normal();
  return tensor;
}

void scale_row(HeadsTensor<double>& tensor, Index row, double factor) {
  for (Index h = 0; h < tensor.heads(); ++h) {
    for (Index d = 0; d < tensor.head_dim(); ++d) tensor.view().at(row, h)[d] *= factor;
  }
}

void shape_logits(Random& random, Logits logits, RoundingProblem& problem) {
  HeadsTensor<double>& query = problem.query;
  HeadsTensor<double>& key = problem.key;
  const Index head_dim = key.head_dim();
  const auto copy_key = [&](Index from, Index to) {
    std::copy_n(key.view().at(from, 0), head_dim, key.view().at(to, 0));
  };
  switch (logits) {
    case Logits::kNormal:
      break;
    case Logits::kWide:
      for (Index i = 0; i < query.rows(); ++i) scale_row(query, i, 3);
      break;
    case Logits::kHuge:
      for (Index i = 0; i < query.rows(); ++i) scale_row(query, i, 100);
      break;
    case Logits::kTiny:
      for (Index i = 0; i < query.rows(); ++i) {
        scale_row(query, i, std::pow(10, -4 + 3 * random.uniform()));
      }
      break;
    case Logits::kEqual:
      for (Index j = 1; j < key.rows(); ++j) copy_key(0, j);
      break;
    case Logits::kClusters:
      for (Index j = 4; j < key.rows(); ++j) copy_key(j % 4, j);
      break;
    case Logits::kDominant:
      // All queries lean towards key 0.
      for (Index i = 0; i < query.rows(); ++i) {
        for (Index h = 0; h < query.heads(); ++h) query.view().at(i, h)[0] = 4;
      }
      key.view().at(0, 0)[0] = 3 * std::sqrt(static_cast<double>(head_dim));
      break;
    case Logits::kCancelling:
      for (Index i = 0; i < query.rows(); ++i) {
        for (Index h = 0; h < query.heads(); ++h) {
          query.view().at(i, h)[0] = query.view().at(i, h)[head_dim - 1] = 40;
        }
      }
      for (Index j = 0; j < key.rows(); ++j) {
        key.view().at(j, 0)[0] = 64;
        key.view().at(j, 0)[head_dim - 1] = -64;
      }
      break;
  }
}

void shape_values(Random& random, Values values, HeadsTensor<double>& value) {
  const Index head_dim = value.head_dim();
  for (Index j = 0; j < value.rows(); ++j) {
    double* row = value.view().at(j, 0);
    switch (values) {
      case Values::kNormal:
        break;
      case Values::kAlternating:
        for (Index d = 0; d < head_dim; ++d)
          row[d] = static_cast<double>((j % 2 == 0 ? 1 : -1) * (1 + d % 3));
        break;
      case Values::kOutliers:
        if (random.uniform() < 0.02) scale_row(value, j, 128);
        break;
      case Values::kColumn:
        row[head_dim / 3] = 100 + row[head_dim / 3];
        break;
      case Values::kSameSign:
        for (Index d = 0; d < head_dim; ++d) row[d] = 1 + random.uniform();
        break;
      case Values::kZeros:
        if (j % 20 != 7) scale_row(value, j, 0);
        break;
    }
  }
}

/// The nearest float that is no larger in absolute value.
float cut_off(double value) {
  const auto near = static_cast<float>(value);
  return std::abs(static_cast<double>(near)) > std::abs(value) ? std::nextafterf(near, 0) : near;
}

float rounded(ValueType type, float value) {
  switch (type) {
    case ValueType::kBfloat16:
      return static_cast<float>(Eigen::bfloat16(value));
    case ValueType::kFloat16:
      return static_cast<float>(Eigen::half(value));
    default:
      return value;
  }
}

float rounded_to_fp8(float value) {
  int exponent = 0;
  const float fraction = std::frexp(value, &exponent);
  return std::ldexp(std::nearbyint(fraction * 16), exponent - 4);
}

/// Coefficients of 2^x on [0, 1] through Chebyshev's points, by Newton's divided differences.
struct Exp2Polynomial {
  std::vector<double> points, differences;

  explicit Exp2Polynomial(int degree) {
    for (int i = 0; i <= degree; ++i) {
      points.push_back(0.5 + 0.5 * std::cos(std::numbers::pi * (i + 0.5) / (degree + 1)));
      differences.push_back(std::exp2(points.back()));
    }
    for (int step = 1; step <= degree; ++step) {
      for (int i = degree; i >= step; --i) {
        const auto at = static_cast<std::size_t>(i);
        differences[at] = (differences[at] - differences[at - 1]) /
                          (points[at] - points[at - static_cast<std::size_t>(step)]);
      }
    }
  }

  [[nodiscard]] double operator()(double x) const {
    double value = differences.back();
    for (std::size_t i = differences.size() - 1; i-- > 0;) {
      value = value * (x - points[i]) + differences[i];
    }
    return value;
  }
};

/// Attention of one row of one head.
class RowOfKernel {
 public:
  RowOfKernel(const RoundingKernel& kernel, const RoundingProblem& problem, const Floats& key,
              const Floats& value, Index row, Index head)
      : kernel_(kernel),
        polynomial_(std::max(kernel.exp_degree, 1)),
        head_dim_(static_cast<std::size_t>(problem.key.head_dim())),
        key_(key),
        value_(value),
        scale_(static_cast<float>(problem.softmax_scale *
                                  (kernel.base_2 ? std::numbers::log2e : 1.0))) {
    const double* q = problem.query.view().at(row, head);
    query_.assign(q, q + head_dim_);
  }

  void run(Index keys, double* out, double& lse) {
    Partial merged;
    for (int part = 0; part < kernel_.parts; ++part) {
      const Index begin = part * keys / kernel_.parts;
      const Index end = (part + 1) * keys / kernel_.parts;
      Partial own = attend(begin, end, keys);
      if (part == 0) {
        merged = std::move(own);
      } else {
        merge(merged, own, part);
      }
    }
    if (kernel_.merge == Merge::kSums) divide(merged);
    if (kernel_.merge == Merge::kByLse) {
      for (float& element : merged.out) element /= merged.sum;
      merged.lse = merged.max + std::log(merged.sum);
    }
    for (std::size_t d = 0; d < head_dim_; ++d) out[d] = stored(merged.out[d]);
    lse = merged.lse;
  }

 private:
  struct Partial {
    float max = -kInfinity;  ///< in the kernel's base
    float sum = 0;
    Floats out;
    float lse = -kInfinity;  ///< natural
  };

  [[nodiscard]] float dot(const float* key) const {
    if (kernel_.tensor_core) {
      float sum = 0;
      for (std::size_t d = 0; d < head_dim_; d += 8) {
        double step = sum;
        for (std::size_t i = d; i < std::min(d + 8, head_dim_); ++i) {
          step += static_cast<double>(query_[i]) * key[i];
        }
        sum = cut_off(step);
      }
      return sum;
    }
    std::array<float, 8> sums{};
    for (std::size_t d = 0; d < head_dim_; ++d) sums[d % 8] += query_[d] * key[d];
    float sum = 0;
    for (const float one : sums) sum += one;
    return sum;
  }

  [[nodiscard]] float exp_of(float x) const {
    if (!kernel_.base_2) return std::exp(x);
    if (kernel_.exp_degree == 0) return std::exp2(x);
    if (x < -120) return 0;
    const float whole = std::floor(x);
    return std::ldexp(static_cast<float>(polynomial_(x - whole)), static_cast<int>(whole));
  }

  [[nodiscard]] float as_p(float weight) const {
    return kernel_.rounds_p_to_fp8 ? rounded_to_fp8(weight) : rounded(kernel_.p_type, weight);
  }

  [[nodiscard]] double stored(float element) const {
    if (!kernel_.truncates_out) return round_to(kernel_.out_type, element);
    const double near = round_to(kernel_.out_type, element);
    if (std::abs(near) <= std::abs(element)) return near;
    return near - std::copysign(2 * half_place(kernel_.out_type, element), element);
  }

  Partial attend(Index begin, Index end, Index keys) {
    Partial state;
    state.out.assign(head_dim_, 0);
    for (Index first = begin; first < end; first += kernel_.tile) {
      std::vector<std::size_t> tile;
      for (Index j = first; j < std::min(first + kernel_.tile, end); ++j) {
        const Index key = kernel_.backwards ? keys - 1 - j : j;
        if (key >= kernel_.lost_begin && key < kernel_.lost_begin + kernel_.lost_count) continue;
        tile.push_back(static_cast<std::size_t>(key) * head_dim_);
      }
      if (!tile.empty()) add_tile(tile, state);
    }
    if (kernel_.merge != Merge::kSums) {
      divide(state);
      for (float& element : state.out) element = rounded(kernel_.partial_type, element);
    }
    return state;
  }

  void add_tile(const std::vector<std::size_t>& tile, Partial& state) {
    Floats scores;
    float max = state.max;
    for (const std::size_t at : tile) {
      scores.push_back(scale_ * dot(&key_[at]));
      max = std::max(max, scores.back());
    }
    if (!kernel_.lazy || max > state.max + 8) {
      const float shrink = kernel_.base_2 ? std::exp2(state.max - max) : std::exp(state.max - max);
      state.sum *= shrink;
      for (float& element : state.out) element *= shrink;
      state.max = max;
    }
    Floats weights;
    for (const float score : scores) {
      const float weight = exp_of(score - state.max);
      state.sum += weight;
      weights.push_back(as_p(weight));
    }
    if (kernel_.tensor_core) {
      add_values_cut_off(tile, weights, state.out);
    } else {
      for (std::size_t j = 0; j < tile.size(); ++j) {
        const float* value = &value_[tile[j]];
        for (std::size_t d = 0; d < head_dim_; ++d) state.out[d] += weights[j] * value[d];
      }
    }
  }

  void add_values_cut_off(const std::vector<std::size_t>& tile, const Floats& weights,
                          Floats& out) const {
    std::vector<double> sums(head_dim_);
    for (std::size_t j = 0; j < tile.size(); j += 8) {
      for (std::size_t d = 0; d < head_dim_; ++d) sums[d] = out[d];
      for (std::size_t i = j; i < std::min(j + 8, tile.size()); ++i) {
        const float* value = &value_[tile[i]];
        for (std::size_t d = 0; d < head_dim_; ++d) {
          sums[d] += static_cast<double>(weights[i]) * value[d];
        }
      }
      for (std::size_t d = 0; d < head_dim_; ++d) out[d] = cut_off(sums[d]);
    }
  }

  [[nodiscard]] float natural_lse(const Partial& state) const {
    if (state.sum == 0) return -kInfinity;
    if (!kernel_.base_2) return state.max + std::log(state.sum);
    return (state.max + std::log2(state.sum)) * std::numbers::ln2_v<float>;
  }

  void divide(Partial& state) const {
    state.lse = natural_lse(state);
    if (state.sum == 0) return;
    const float inverse = 1 / state.sum;
    for (float& element : state.out) element *= inverse;
    state.max = state.lse;  // from here on in nats
    state.sum = 1;
  }

  void merge(Partial& all, const Partial& own, int part) const {
    if (own.sum == 0) return;
    if (kernel_.merge == Merge::kRing) {
      const float weight = kernel_.unweighted_merge
                               ? 1 / (1 + static_cast<float>(part))
                               : 1 / (1 + std::exp(all.lse - own.lse));  // sigmoid
      for (std::size_t d = 0; d < head_dim_; ++d) all.out[d] -= weight * (all.out[d] - own.out[d]);
      // lse - log(sigmoid(lse - b_lse)), either way round
      const float high = std::max(all.lse, own.lse);
      all.lse = high + std::log1p(std::exp(std::min(all.lse, own.lse) - high));
      return;
    }
    const float max = std::max(all.max, own.max);
    const auto share = [&](float of) {
      if (kernel_.unweighted_merge) return 1.0F;
      return kernel_.merge == Merge::kSums && kernel_.base_2 ? std::exp2(of - max)
                                                             : std::exp(of - max);
    };
    const float mine = share(all.max);
    const float theirs = share(own.max);
    for (std::size_t d = 0; d < head_dim_; ++d) {
      all.out[d] = all.out[d] * mine + own.out[d] * theirs;
    }
    all.sum = all.sum * mine + own.sum * theirs;
    all.max = max;
  }

  const RoundingKernel& kernel_;
  Exp2Polynomial polynomial_;
  std::size_t head_dim_;
  const Floats& key_;
  const Floats& value_;
  float scale_;
  Floats query_;
};

}  // namespace

std::string_view in_words(Logits logits) {
  constexpr std::array<std::string_view, 8> kNames{"normal", "wide",     "huge",     "tiny",
                                                   "equal",  "clusters", "dominant", "cancelling"};
  return kNames.at(static_cast<std::size_t>(logits));
}

std::string_view in_words(Values values) {
  constexpr std::array<std::string_view, 6> kNames{"normal", "alternating", "outliers",
                                                   "column", "same sign",   "zeros"};
  return kNames.at(static_cast<std::size_t>(values));
}

AttentionSetup RoundingProblem::setup() const {
  AttentionSetup setup;
  setup.query = query.view();
  setup.keys = {{key.view(), value.view(), [](Index) { return kWhole; }}};
  setup.softmax_scale = softmax_scale;
  setup.kv_head = [](Index) { return 0; };
  return setup;
}

RoundingProblem make_problem(std::uint64_t seed, Logits logits, Values values,
                             const ProblemSize& size, ValueType type) {
  Random random(seed);
  RoundingProblem problem;
  problem.query = normal_heads(random, size.rows, size.heads, size.head_dim);
  problem.key = normal_heads(random, size.keys, 1, size.head_dim);
  problem.value = normal_heads(random, size.keys, 1, size.head_dim);
  problem.softmax_scale = 1 / std::sqrt(static_cast<double>(size.head_dim));
  shape_logits(random, logits, problem);
  shape_values(random, values, problem.value);
  for (auto* tensor : {&problem.query, &problem.key, &problem.value}) {
    for (double& element : tensor->values()) element = round_to(type, element);
  }
  return problem;
}

std::string RoundingKernel::text() const {
  constexpr std::array<std::string_view, 3> kMerges{"sums", "lse", "ring"};
  return fmt::format("P {} out {} tile {}{}{}{}{}{} parts {} by {} of {}", to_string(p_type),
                     to_string(out_type), tile, base_2 ? " base 2" : "", lazy ? " lazy" : "",
                     tensor_core ? " tensor core" : "", backwards ? " backwards" : "",
                     exp_degree > 0 ? fmt::format(" exp of degree {}", exp_degree) : "", parts,
                     kMerges.at(static_cast<std::size_t>(merge)), to_string(partial_type));
}

double exp_error(int degree) {
  if (degree == 0) return 0;
  const Exp2Polynomial polynomial(degree);
  double worst = 0;
  for (int i = 0; i <= 4096; ++i) {
    const double x = i / 4096.0;
    worst = std::max(worst, std::abs(polynomial(x) / std::exp2(x) - 1));
  }
  return worst;
}

AttentionRows run_kernel(const RoundingKernel& kernel, const RoundingProblem& problem) {
  const Index rows = problem.query.rows();
  const Index heads = problem.query.heads();
  const Floats key(problem.key.values().begin(), problem.key.values().end());
  const Floats value(problem.value.values().begin(), problem.value.values().end());
  AttentionRows result;
  result.rows = count_up(rows);
  result.heads = count_up(heads);
  result.out = HeadsTensor<double>(rows, heads, problem.key.head_dim());
  result.lse = Matrix<double>(rows, heads);
  parallel_for(rows, [&](Index row) {
    for (Index head = 0; head < heads; ++head) {
      RowOfKernel(kernel, problem, key, value, row, head)
          .run(problem.key.rows(), result.out.view().at(row, head), result.lse(row, head));
    }
  });
  return result;
}

}  // namespace apb
