#include "reference/comm/mpi_communicator.hpp"

#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <limits>
#include <thread>

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

/// MPI counts are int.
int as_count(std::size_t bytes) {
  if (bytes > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw CannotRun(fmt::format("MPI: a message of {} bytes is over 2 GiB", bytes));
  }
  return static_cast<int>(bytes);
}

struct CountsAndOffsets {
  std::vector<int> counts;
  std::vector<int> offsets;

  explicit CountsAndOffsets(std::span<const std::size_t> sizes) {
    std::size_t offset = 0;
    for (const std::size_t size : sizes) {
      counts.push_back(as_count(size));
      offsets.push_back(as_count(offset));
      offset += size;
    }
    as_count(offset);
  }
};

int cores() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(int tries_before_sleep) : tries_before_sleep_(tries_before_sleep) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &num_ranks_);
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int num_ranks() const override { return num_ranks_; }

 protected:
  void do_all_gather(Bytes mine, MutableBytes all, Sizes sizes) override {
    const CountsAndOffsets layout(sizes);
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Iallgatherv(mine.data(), as_count(mine.size()), MPI_BYTE, all.data(),
                          layout.counts.data(), layout.offsets.data(), MPI_BYTE, MPI_COMM_WORLD,
                          &request),
          "MPI_Iallgatherv");
    wait(request);
  }

  void do_all_to_all(Bytes mine, Sizes send_sizes, MutableBytes received,
                     Sizes receive_sizes) override {
    const CountsAndOffsets send(send_sizes);
    const CountsAndOffsets receive(receive_sizes);
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ialltoallv(mine.data(), send.counts.data(), send.offsets.data(), MPI_BYTE,
                         received.data(), receive.counts.data(), receive.offsets.data(), MPI_BYTE,
                         MPI_COMM_WORLD, &request),
          "MPI_Ialltoallv");
    wait(request);
  }

  void do_send_recv(int to, Bytes mine, int from, MutableBytes received) override {
    MPI_Request sending = MPI_REQUEST_NULL;
    MPI_Request receiving = MPI_REQUEST_NULL;
    if (from != kNobody) {
      check(MPI_Irecv(received.data(), as_count(received.size()), MPI_BYTE, from, kTag,
                      MPI_COMM_WORLD, &receiving),
            "MPI_Irecv");
    }
    if (to != kNobody) {
      check(MPI_Isend(mine.data(), as_count(mine.size()), MPI_BYTE, to, kTag, MPI_COMM_WORLD,
                      &sending),
            "MPI_Isend");
    }
    wait(receiving);
    wait(sending);
  }

  void do_broadcast(int root, MutableBytes data) override {
    MPI_Request request = MPI_REQUEST_NULL;
    check(MPI_Ibcast(data.data(), as_count(data.size()), MPI_BYTE, root, MPI_COMM_WORLD, &request),
          "MPI_Ibcast");
    wait(request);
  }

 private:
  static constexpr int kTag = 0;

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
};

int count_ranks_on_node() {
  MPI_Comm node = MPI_COMM_NULL;
  check(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
        "MPI_Comm_split_type");
  int size = 1;
  MPI_Comm_size(node, &size);
  MPI_Comm_free(&node);
  return size;
}

}  // namespace

MpiSession::MpiSession() {
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  ranks_on_node_ = count_ranks_on_node();
  world_ =
      std::make_unique<MpiCommunicator>(ranks_on_node_ > cores() ? kTriesIfCrowded : kTriesIfRoomy);
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
