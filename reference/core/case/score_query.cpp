#include "reference/core/case/score_query.hpp"

#include <algorithm>

namespace apb {

std::optional<HeadsTensor<double>> score_query(const CaseFile& case_file, const CaseRank& rank) {
  if (rank.score_query) return rank.score_query;
  for (const CaseRank& holder : case_file.ranks) {
    if (holder.rank != std::max(rank.rank, 1)) continue;
    if (const auto embedded = holder.layout.embedded_query()) {
      HeadsTensor<double> rows(0, holder.query.heads(), holder.query.head_dim());
      rows.append(holder.query.view().slice(embedded->first, embedded->count));
      return rows;
    }
  }
  return std::nullopt;
}

}  // namespace apb
