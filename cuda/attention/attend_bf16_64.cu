#include "cuda/attention/launch_attention.cuh"

namespace apb::cuda {

template void launch_attention<Bfloat16, 64>(const KernelArguments<Bfloat16>&, cudaStream_t);

}  // namespace apb::cuda
