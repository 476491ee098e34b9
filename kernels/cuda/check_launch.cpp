#include "kernels/cuda/launch.h"
#include "kernels/cuda/runtime.h"

namespace gradus::cuda {
namespace {

std::string text(int rank, const int64_t* shape) {
  std::string s = "[";
  for (int d = 0; d < rank; ++d) s += (d ? ", " : "") + std::to_string(shape[d]);
  return s + "]";
}

const char* name_of(UpdateRule rule) {
  switch (rule) {
#define GRADUS_UPDATE_STATELESS(name, ...) \
  case UpdateRule::name:                   \
    return #name;
#define GRADUS_UPDATE(name, ...) GRADUS_UPDATE_STATELESS(name)
#include "gradus/ops/updates.def"
  }
  return "?";
}

template <class... Call> void check_with(const Call&... call) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) [[unlikely]]
    fail_runtime(described(call...).c_str(), error);
}

}  // namespace

std::string described(const Elementwise& c) {  // the plan has merged and turned its axes; the op tells the operands' own
  return std::string(c.op) + " of " + name(c.dtype) + ", " + std::to_string(c.plan.count) + " elements";
}
std::string described(const char* op, std::initializer_list<const Array*> arrays) {
  std::string what = std::string(op) + " of";
  for (const Array* x : arrays)
    if (*x) what += std::string(" ") + name(x->dtype) + text(x->rank, x->shape);
  return what;
}
std::string described(const char* op, int64_t elements) {
  return std::string(op) + " of " + std::to_string(elements) + " elements";
}
std::string described(const Update* list, int64_t count) {
  if (count == 0) return "update of nothing";
  int64_t elements = 0;
  for (int64_t i = 0; i < count; ++i) elements += list[i].count;
  return std::string("update: ") + name_of(list->rule) + " of " + std::to_string(count) + " parameters of " + name(list->dtype) +
         ", " + std::to_string(elements) + " elements";
}

void check_launch(const Elementwise& call) { check_with(call); }
void check_launch(const char* op, std::initializer_list<const Array*> arrays) { check_with(op, arrays); }
void check_launch(const char* op, int64_t elements) { check_with(op, elements); }
void check_launch(const Update* list, int64_t count) { check_with(list, count); }

}  // namespace gradus::cuda
