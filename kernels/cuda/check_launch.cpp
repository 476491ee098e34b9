#include "kernels/cuda/launch.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {
namespace {
std::string text(int rank, const int64_t* shape) {
  std::string s = "[";
  for (int d = 0; d < rank; ++d) s += (d ? ", " : "") + std::to_string(shape[d]);
  return s + "]";
}
}  // namespace

void check_launch(const Elementwise& c) {
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) [[likely]]
    return;
  fail_runtime((std::string(c.op) + " of " + name(c.dtype) + " over " + text(c.plan.rank, c.plan.size)).c_str(), error);
}

void check_launch(const char* op, std::initializer_list<const Array*> arrays) {
  cudaError_t error = cudaGetLastError();
  if (error == cudaSuccess) [[likely]]
    return;
  std::string what = std::string(op) + " of";
  for (const Array* x : arrays)
    if (*x) what += std::string(" ") + name(x->dtype) + text(x->rank, x->shape);
  fail_runtime(what.c_str(), error);
}

}  // namespace gradus::cuda
