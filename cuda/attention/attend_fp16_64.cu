#include "cuda/attention/launch_attention.cuh"

namespace apb::cuda {

template void launch_attention<Float16, 64>(const KernelArguments<Float16>&, cudaStream_t);

}  // namespace apb::cuda
