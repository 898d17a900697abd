#pragma once
/// \file
/// Keys and values that travel around the ring of ranks.

#include "reference/core/communicator.hpp"
#include "reference/core/heads_tensor.hpp"

namespace apb {

/// Keys (after RoPE) and values of one rank's rows.
template <class Scalar>
struct KeyValue {
  HeadsTensor<Scalar> key;    ///< [rows, num_kv_heads, head_dim]
  HeadsTensor<Scalar> value;  ///< [rows, num_kv_heads, head_dim]

  KeyValue(const HeadsView<const Scalar>& k, const HeadsView<const Scalar>& v)
      : key(0, k.heads, k.head_dim), value(0, v.heads, v.head_dim) {
    key.append(k);
    value.append(v);
  }
};

/// The rank whose rows a rank holds after `step` steps.
[[nodiscard]] inline int ring_owner(const Communicator& communicator, int step) {
  return (communicator.rank() - step + communicator.num_ranks()) % communicator.num_ranks();
}

/// One step: `held` goes to the next rank and is replaced by what the previous rank held, keys and
/// values in one message. Collective; needs two ranks.
/// \param received_rows rows that arrive
template <class Scalar>
void ring_step(KeyValue<Scalar>& held, Index received_rows, Communicator& communicator) {
  const int next = (communicator.rank() + 1) % communicator.num_ranks();
  std::vector<Scalar> message = held.key.values();
  message.insert(message.end(), held.value.values().begin(), held.value.values().end());
  held.key.resize_rows(received_rows);
  held.value.resize_rows(received_rows);
  const std::size_t half = held.key.values().size();
  const std::vector<Scalar> received =
      communicator.send_recv<Scalar>(next, message, ring_owner(communicator, 1), 2 * half);
  const auto middle = received.begin() + static_cast<std::ptrdiff_t>(half);
  held.key.values().assign(received.begin(), middle);
  held.value.values().assign(middle, received.end());
}

}  // namespace apb
