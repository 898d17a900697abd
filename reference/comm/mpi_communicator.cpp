#include "reference/comm/mpi_communicator.hpp"

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>

#include "reference/core/available_cores.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

// A wait polls at first and then sleeps between polls: soon if ranks outnumber cores, late if every
// rank has a core of its own (a long wait then means that another rank may want the core).
constexpr int kTriesIfCrowded = 20;
constexpr int kTriesIfRoomy = 20000;
constexpr std::chrono::microseconds kSleep{50};

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::string text(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  text.resize(static_cast<std::size_t>(length));
  throw CannotRun(fmt::format("{}: {}", call, text));
}

/// MPI counts are int, so that no call moves 2 GiB or more: what is longer than
/// `most_bytes_at_once` goes in pieces.
class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(int tries_before_sleep, int most_bytes_at_once)
      : tries_before_sleep_(tries_before_sleep),
        most_bytes_at_once_(static_cast<std::size_t>(most_bytes_at_once)) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &num_ranks_);
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int num_ranks() const override { return num_ranks_; }

 protected:
  void do_all_gather(Bytes mine, MutableBytes all, Sizes sizes) override {
    if (all.size() <= most_bytes_at_once_) {
      gather_at_once(mine, all, sizes);
      return;
    }
    std::copy(mine.begin(), mine.end(), part(all, sizes, rank_).begin());
    for (int root = 0; root < num_ranks_; ++root) do_broadcast(root, part(all, sizes, root));
  }

  void do_all_to_all(Bytes mine, Sizes send_sizes, MutableBytes received,
                     Sizes receive_sizes) override {
    // Not MPI_Ialltoallv: whether all fits into one call is not the same on every rank.
    Requests requests;
    for (int other = 0; other < num_ranks_; ++other) {
      receive(other, part(received, receive_sizes, other), requests);
    }
    for (int other = 0; other < num_ranks_; ++other) {
      send(other, part(mine, send_sizes, other), requests);
    }
    wait(requests);
  }

  void do_send_recv(int to, Bytes mine, int from, MutableBytes received) override {
    Requests requests;
    if (from != kNobody) receive(from, received, requests);
    if (to != kNobody) send(to, mine, requests);
    wait(requests);
  }

  void do_broadcast(int root, MutableBytes data) override {
    Requests requests;
    in_pieces(data, [&](MutableBytes piece) {
      check(MPI_Ibcast(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, root, MPI_COMM_WORLD,
                       &requests.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Ibcast");
    });
    wait(requests);
  }

 private:
  using Requests = std::vector<MPI_Request>;
  static constexpr int kTag = 0;

  /// The part of `all` that belongs to a rank.
  template <class Byte>
  static std::span<Byte> part(std::span<Byte> all, Sizes sizes, int rank) {
    const auto r = static_cast<std::size_t>(rank);
    return all.subspan(total_count(sizes.first(r)), sizes[r]);
  }

  /// Sender and receiver know a message's size, so that they cut it alike; nothing is no piece.
  template <class Byte, class Call>
  void in_pieces(std::span<Byte> message, const Call& call) const {
    while (!message.empty()) {
      const std::size_t size = std::min(message.size(), most_bytes_at_once_);
      call(message.first(size));
      message = message.subspan(size);
    }
  }

  void send(int to, Bytes message, Requests& requests) const {
    in_pieces(message, [&](Bytes piece) {
      check(MPI_Isend(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, to, kTag,
                      MPI_COMM_WORLD, &requests.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Isend");
    });
  }

  void receive(int from, MutableBytes message, Requests& requests) const {
    in_pieces(message, [&](MutableBytes piece) {
      check(MPI_Irecv(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, from, kTag,
                      MPI_COMM_WORLD, &requests.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Irecv");
    });
  }

  void gather_at_once(Bytes mine, MutableBytes all, Sizes sizes) const {
    std::vector<int> counts;
    std::vector<int> offsets;
    int offset = 0;
    for (const std::size_t size : sizes) {
      counts.push_back(static_cast<int>(size));
      offsets.push_back(offset);
      offset += counts.back();
    }
    Requests requests(1, MPI_REQUEST_NULL);
    check(MPI_Iallgatherv(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, all.data(),
                          counts.data(), offsets.data(), MPI_BYTE, MPI_COMM_WORLD, requests.data()),
          "MPI_Iallgatherv");
    wait(requests);
  }

  void wait(Requests& requests) const {
    for (MPI_Request& request : requests) wait(request);
  }

  void wait(MPI_Request& request) const {
    for (int tries = 0;; ++tries) {
      int done = 0;
      check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
      if (done != 0) return;
      if (tries >= tries_before_sleep_) std::this_thread::sleep_for(kSleep);
    }
  }

  int rank_ = 0;
  int num_ranks_ = 1;
  int tries_before_sleep_;
  std::size_t most_bytes_at_once_;
};

/// The ranks of this machine.
struct Node {
  int ranks = 1;
  int cores = 1;  ///< that any of them may run on
};

/// A launcher may give every rank processors of its own, or all the same ones.
Node find_node() {
  MPI_Comm node = MPI_COMM_NULL;
  check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
        "MPI_Comm_split_type");
  Node found;
  MPI_Comm_size(node, &found.ranks);
  std::vector<std::uint8_t> allowed(kMostProcessors);
  for (const int processor : allowed_processors()) allowed[static_cast<std::size_t>(processor)] = 1;
  check(MPI_Allreduce(MPI_IN_PLACE, allowed.data(), kMostProcessors, MPI_UINT8_T, MPI_MAX, node),
        "MPI_Allreduce");
  MPI_Comm_free(&node);
  const auto cores = static_cast<int>(std::count(allowed.begin(), allowed.end(), 1));
  found.cores = std::max(1, std::min(cores, cgroup_cores()));
  return found;
}

}  // namespace

bool mpi_has_started() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  return initialized != 0;
}

MpiSession::MpiSession(int most_bytes_at_once) {
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  const Node node = find_node();
  ranks_on_node_ = node.ranks;
  cores_of_node_ = node.cores;
  world_ = std::make_unique<MpiCommunicator>(
      node.ranks > node.cores ? kTriesIfCrowded : kTriesIfRoomy, most_bytes_at_once);
}

MpiSession::~MpiSession() {
  world_.reset();
  MPI_Finalize();
}

void MpiSession::abort(int exit_status) {
  MPI_Abort(MPI_COMM_WORLD, exit_status);
  std::abort();
}

}  // namespace apb
