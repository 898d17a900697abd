// Ranks over NCCL, a process each, equal ranks by loopback in one process, bit for bit.
//
// Run as `mpiexec -n N nccl_equals_loopback`; processes may share a GPU (each is given an
// NCCL_HOSTID of its own, else NCCL refuses that). Every process runs its rank over NCCL and, for
// itself, all ranks by loopback. All processes exit alike: 0 if nothing differs anywhere, else 1.

#include <cstdio>
#include <cstdlib>

#include "cuda/comm/choose_gpu.hpp"
#include "cuda/comm/nccl_communicator.hpp"
#include "reference/comm/mpi_communicator.hpp"
#include "tests/cuda/gpu_model.hpp"

namespace apb {
namespace {

int differences(Communicator& world, Method method, Compressor compressor) {
  ApbConfig config;
  config.doc_len = 450 + world.num_ranks();
  config.num_ranks = world.num_ranks();
  config.anchor_len = 17;
  config.embedded_query_len = 4;
  config.compressor = compressor;
  config.num_kept = compressor == Compressor::kNone ? 0 : 11;
  const auto weights = gpu_model_weights({}, ValueType::kBfloat16);
  const GpuCase work = make_gpu_case(method, config, weights.shape, 91);
  const auto local = run_gpu_ranks<cuda::Bfloat16>(work, weights);

  const cuda::Stream stream;
  const auto model = cuda::to_device<cuda::Bfloat16>(weights, stream.get());
  stream.synchronize();
  const auto communicator = cuda::nccl_communicator(world);
  const GpuOutcome own = run_gpu_rank<cuda::Bfloat16>(work, model, *communicator);
  const bool same = own == local[static_cast<std::size_t>(world.rank())];
  if (!same) std::fprintf(stderr, "rank %d: %s differs\n", world.rank(), to_string(method).data());
  return same ? 0 : 1;
}

int run() {
  MpiSession session;
  Communicator& world = session.world();
  cuda::choose_gpu(world);
  int own = 0;
  for (const Compressor compressor :
       {Compressor::kRetainingHead, Compressor::kQueryAware, Compressor::kRandom}) {
    own += differences(world, Method::kApb, compressor);
  }
  own += differences(world, Method::kStar, Compressor::kNone);
  own += differences(world, Method::kFull, Compressor::kNone);
  const std::vector<int> mine{own};
  const std::vector<std::size_t> counts(static_cast<std::size_t>(world.num_ranks()), 1);
  int all = 0;
  for (const int count : world.all_gather<int>(mine, counts)) all += count;
  if (world.rank() == 0) {
    std::printf("%d ranks over NCCL: %d of %d outcomes differ from loopback\n", world.num_ranks(),
                all, 5 * world.num_ranks());
  }
  return all == 0 ? 0 : 1;
}

}  // namespace
}  // namespace apb

int main() {
  try {
    return apb::run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    std::abort();  // mpiexec ends the others
  }
}
