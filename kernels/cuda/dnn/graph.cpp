#include "kernels/cuda/dnn/graph.h"

#include <cuda_runtime_api.h>
#include <dlfcn.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <limits>
#include <stdexcept>
#include <vector>

#include "gradus/core/error.h"
#include "kernels/cuda/dnn/dnn.h"
#include "kernels/cuda/dnn/handles.h"
#include "kernels/cuda/runtime.h"
#include "kernels/cuda/scratch.h"
#include "kernels/cuda/timing.h"

// The frontend finds the functions of CUDA's runtime by name in a shared library of their own. This library has the runtime within
// itself and may be alone with it, so those names lead here.
namespace {
char own_runtime;  // its address stands for the library's handle

void* open_library(const char* name, int flags) {
  const std::string own = "libcudart.so." + std::to_string(CUDART_VERSION / 1000);
  if (std::strncmp(name, "libcudart.so.", 13) == 0) return name == own ? &own_runtime : nullptr;
  return dlopen(name, flags);
}
void* find_symbol(void* library, const char* name) {
  if (library != &own_runtime) return dlsym(library, name);
#define SERVE(function) \
  if (std::strcmp(name, #function) == 0) return reinterpret_cast<void*>(function)
  SERVE(cudaRuntimeGetVersion);
  SERVE(cudaGetDevice);
  SERVE(cudaDeviceGetAttribute);
  SERVE(cudaMemcpyAsync);
  SERVE(cudaMemsetAsync);
  SERVE(cudaGetErrorString);
  SERVE(cudaGetLastError);
#if CUDART_VERSION >= 12050
  SERVE(cudaGetDriverEntryPointByVersion);
#endif
#if CUDART_VERSION < 13000
  SERVE(cudaGetDriverEntryPoint);
#endif
#undef SERVE
  return nullptr;  // the frontend throws, and the task is left to our own kernel
}
}  // namespace

#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#define cudnn_frontend gradus_cudnn_frontend  // a program may hold another version of these inline functions
#define dlopen open_library
#define dlsym find_symbol
#include <cudnn_frontend.h>
#undef dlopen
#undef dlsym

void* cudnn_frontend::cudnn_dlhandle = nullptr;

namespace gradus::cuda::dnn {
namespace {

namespace fe = cudnn_frontend;
using fe::graph::Graph;
using fe::graph::Tensor_attributes;
using Tensor = std::shared_ptr<Tensor_attributes>;

fe::DataType_t type_of(const Task& task) {
  switch (DType(task.dtype)) {
    case DType::float16: return fe::DataType_t::HALF;
    case DType::bfloat16: return fe::DataType_t::BFLOAT16;
    default: return fe::DataType_t::FLOAT;
  }
}

std::vector<int64_t> four(const int64_t (&v)[4]) { return {v, v + 4}; }
std::vector<int64_t> pair(const int64_t (&v)[2]) { return {v, v + 2}; }

/// A task's graph; an operand's number in it is one more than in the task.
class TaskGraph : public Graph {
 public:
  TaskGraph(const Task& task, int sm) : task_(task) {
    set_io_data_type(type_of(task)).set_intermediate_data_type(fe::DataType_t::FLOAT).set_compute_data_type(fe::DataType_t::FLOAT);
    set_sm_version(sm);
    set_cuda_graph_retention(fe::CudaGraphRetention_t::NONE);  // plans that a capture has used are kept: plans.cpp
    switch (task.job) {
      case Job::convolution: convolution(); break;
      case Job::input_gradient: input_gradient(); break;
      case Job::weight_gradient: weight_gradient(); break;
      case Job::attention: attention(); break;
      case Job::attention_gradient: attention_gradient(); break;
      case Job::batch_norm: batch_norm(); break;
      case Job::batch_norm_gradient: batch_norm_gradient(); break;
    }
  }

 private:
  Tensor input(int k) {
    const Layout& at = task_.operand[k];
    Tensor_attributes attributes;
    attributes.set_uid(k + 1).set_dim(four(at.size)).set_stride(four(at.stride)).set_data_type(operand_type(k));
    return tensor(attributes);
  }
  void output(int k, const Tensor& y) {
    const Layout& at = task_.operand[k];
    y->set_output(true).set_uid(k + 1).set_dim(four(at.size)).set_stride(four(at.stride)).set_data_type(operand_type(k));
  }
  fe::DataType_t operand_type(int k) const { return is_of_floats(task_.job, k) ? fe::DataType_t::FLOAT : type_of(task_); }

  template <class Attributes> Attributes window() const {
    return Attributes().set_padding(pair(task_.padding)).set_stride(pair(task_.stride)).set_dilation(pair(task_.dilation));
  }
  void convolution() {
    Tensor y = conv_fprop(input(kX), input(kW), window<fe::graph::Conv_fprop_attributes>());
    if (task_.operand[kBias].present())
      y = pointwise(y, input(kBias), fe::graph::Pointwise_attributes().set_mode(fe::PointwiseMode_t::ADD));
    output(kY, y);
  }
  void input_gradient() { output(kX, conv_dgrad(input(kY), input(kW), window<fe::graph::Conv_dgrad_attributes>())); }
  void weight_gradient() { output(kW, conv_wgrad(input(kY), input(kX), window<fe::graph::Conv_wgrad_attributes>())); }

  template <class Attributes> Attributes scores() const {
    Attributes attributes;
    attributes.set_attn_scale(float(task_.scale));
    if (task_.causal) attributes.set_causal_mask(true);  // a query sees the keys up to its own number
    return attributes;
  }
  void attention() {
    auto [y, lse] = sdpa(input(kQ), input(kK), input(kV), scores<fe::graph::SDPA_attributes>().set_generate_stats(true));
    output(kOut, y), output(kLse, lse);
  }
  void attention_gradient() {
    auto [dq, dk, dv] =
        sdpa_backward(input(kQ), input(kK), input(kV), input(kOut), input(kCotangent), input(kLse),
                      scores<fe::graph::SDPA_backward_attributes>().set_deterministic_algorithm(task_.deterministic));
    output(kQueryGradient, dq), output(kKeyGradient, dk), output(kValueGradient, dv);
  }

  void batch_norm() {
    Tensor eps = tensor(float(task_.eps));
    auto [y, mean, rstd, running_mean, running_var] =
        batchnorm(input(kInput), input(kScale), input(kShift), fe::graph::Batchnorm_attributes().set_epsilon(eps));
    output(kNormed, y), output(kMean, mean), output(kRstd, rstd);
  }
  void batch_norm_gradient() {
    auto attributes = fe::graph::Batchnorm_backward_attributes().set_saved_mean_and_inv_variance(input(kMean), input(kRstd));
    auto [dx, dscale, dshift] = batchnorm_backward(input(kNormed), input(kInput), input(kScale), attributes);
    output(kInputGradient, dx), output(kScaleGradient, dscale), output(kShiftGradient, dshift);
  }

  const Task& task_;
};

// ---- the library ------------------------------------------------------------------------------------------------------------------

/// cuDNN's calls other than those of graphs, by name.
template <class F> F* of_library(const char* name) { return reinterpret_cast<F*>(dlsym(cudnn_frontend::cudnn_dlhandle, name)); }

std::string open_cudnn() {
  const char* const names[] = {"libcudnn.so.9", GRADUS_CUDNN_FOLDER "/libcudnn.so.9"};
  std::string why;
  for (const char* name : names) {
    cudnn_frontend::cudnn_dlhandle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (cudnn_frontend::cudnn_dlhandle) {
      auto* version = of_library<decltype(cudnnGetVersion)>("cudnnGetVersion");
      if (version && version() >= 90000 && version() < 100000) return "";
      return std::string(name) + " is not cuDNN 9";
    }
    if (why.empty()) why = dlerror();
  }
  return why;
}

void* make_handle() {
  cudnnHandle_t handle = nullptr;
  auto* create = of_library<decltype(cudnnCreate)>("cudnnCreate");
  return create && create(&handle) == CUDNN_STATUS_SUCCESS ? handle : nullptr;
}
Handles& all_handles() {
  static auto* all = new Handles(make_handle);
  return *all;
}

/// This thread's handles, by device.
class OwnHandles {
 public:
  ~OwnHandles() {
    for (size_t d = 0; d < of_.size(); ++d)
      if (of_[d].handle) all_handles().give_back(int(d), of_[d].handle);
  }
  bool has(int device) const { return size_t(device) < of_.size() && of_[size_t(device)].handle; }
  /// Null where none is to be had. The device is selected.
  cudnnHandle_t on(int device, cudaStream_t stream) {
    if (of_.size() <= size_t(device)) of_.resize(size_t(device) + 1);
    One& one = of_[size_t(device)];
    if (!one.handle) one = {static_cast<cudnnHandle_t>(all_handles().take(device)), nullptr, false};
    if (!one.handle || (one.placed && one.stream == stream)) return one.handle;
    static auto* const set_stream = of_library<decltype(cudnnSetStream)>("cudnnSetStream");
    if (!set_stream || set_stream(one.handle, stream) != CUDNN_STATUS_SUCCESS) return nullptr;
    one.stream = stream, one.placed = true;
    return one.handle;
  }

 private:
  struct One {
    cudnnHandle_t handle = nullptr;
    cudaStream_t stream = nullptr;
    bool placed = false;
  };
  std::vector<One> of_;
};
OwnHandles& own_handles() {
  static thread_local OwnHandles own;
  return own;
}

void need(fe::error_t status) {
  if (status.is_bad()) throw std::runtime_error("cuDNN: " + status.get_message());
}

// ---- plans ------------------------------------------------------------------------------------------------------------------------

class GraphPlan final : public Plan {
 public:
  GraphPlan(const Task& task, int sm) : task_(task), graph_(task_, sm) {}

  /// Throws what cuDNN has against it.
  void build(cudnnHandle_t handle, std::shared_ptr<const fe::DeviceProperties> properties, int64_t most_workspace) {
    choose(handle, properties, most_workspace);
    need(graph_.build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE));
    int64_t bytes = 0;
    need(graph_.get_workspace_size(bytes));
    workspace_ = size_t(bytes);
  }
  /// The same up to the choice of an engine: nothing is compiled.
  void choose(cudnnHandle_t handle, std::shared_ptr<const fe::DeviceProperties> properties, int64_t most_workspace) {
    if (properties) graph_.set_device_properties(properties);
    need(graph_.validate());
    need(graph_.build_operation_graph(handle));
    need(graph_.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}));
    std::vector<fe::NumericalNote_t> unwanted = {fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION};
    if (task_.deterministic) unwanted.push_back(fe::NumericalNote_t::NONDETERMINISTIC);
    if (DType(task_.dtype) == DType::float32) {
      unwanted.push_back(fe::NumericalNote_t::DOWN_CONVERT_INPUTS);
      if (!task_.tensor_cores) unwanted.push_back(fe::NumericalNote_t::TENSOR_CORE);
    }
    graph_.deselect_numeric_notes(unwanted);
    graph_.deselect_workspace_greater_than(most_workspace);
    need(graph_.check_support());
  }

  /// Builds those that cuDNN deems best, times each on memory of its own, whatever lies there, and keeps the fastest. Waits for them. Where
  /// memory lacks, what was built serves. The device is selected.
  void tune() {
    constexpr int64_t kCandidates = 8;
    cudnnHandle_t handle = own_handles().on(int(task_.device), stream());
    if (!handle) return;
    double least = std::numeric_limits<double>::infinity();
    try {
      std::vector<std::unique_ptr<Scratch>> operands;
      std::unordered_map<int64_t, void*> pointers;
      for (int k = 0; k < kMostTaskOperands; ++k) {
        const Layout& at = task_.operand[k];
        if (!at.present()) continue;
        int64_t reach = 1;
        for (int d = 0; d < 4; ++d) reach += (at.size[d] - 1) * at.stride[d];
        operands.push_back(std::make_unique<Scratch>(size_t(reach) * sizeof(float)));
        pointers.emplace(k + 1, operands.back()->as<void>());
      }
      for (int64_t i = 0; i < std::min(graph_.get_execution_plan_count(), kCandidates); ++i) {
        int64_t bytes = 0;
        if (graph_.build_plan_at_index(i).is_bad() || graph_.get_workspace_size_plan_at_index(i, bytes).is_bad()) continue;
        const Scratch workspace(size_t(std::max<int64_t>(bytes, 1)));
        auto once = [&] { return graph_.execute_plan_at_index(handle, pointers, workspace.as<void>(), i).is_good(); };
        if (!once()) continue;
        const double time = milliseconds(once);
        if (time < least) least = time, tuned_ = i, workspace_ = size_t(bytes);
      }
    } catch (const OutOfMemory&) {
    }
    cudaGetLastError();  // of a plan that was refused
  }

  size_t workspace() const override { return workspace_; }
  std::string engine() const override {
    std::string name;
    return graph_.get_plan_name(name).is_good() ? name : "";
  }
  bool ready() const override { return own_handles().has(int(task_.device)); }
  bool run(void* const* data, void* workspace, void* stream) const override try {
    cudnnHandle_t handle = own_handles().on(int(task_.device), static_cast<cudaStream_t>(stream));
    if (!handle) return false;
    std::unordered_map<int64_t, void*> pointers;
    for (int k = 0; k < kMostTaskOperands; ++k)
      if (task_.operand[k].present()) pointers.emplace(k + 1, data[k]);
    if (tuned_ >= 0) return graph_.execute_plan_at_index(handle, pointers, workspace, tuned_).is_good();
    return graph_.execute(handle, pointers, workspace).is_good();
  } catch (const std::exception&) {
    return false;
  }

 private:
  const Task task_;
  TaskGraph graph_;
  size_t workspace_ = 0;
  int64_t tuned_ = -1;  // the number of the fastest
};

/// What f threw, or why there is no cuDNN; else empty.
template <class F> std::string trouble_of(F f) {
  if (!why_absent().empty()) return why_absent();
  try {
    f();
    return "";
  } catch (const std::exception& e) {
    return e.what();
  }
}

}  // namespace

namespace {
std::atomic<bool> was_asked_for = false;
}
const std::string& why_absent() {
  static const std::string why = (was_asked_for = true, open_cudnn());
  return why;
}

void prepare_thread(int device) noexcept {
  if (!was_asked_for || !why_absent().empty()) return;
  own_handles().on(device, nullptr);  // where there is none, our own kernels serve
  cudaGetLastError();
}

std::unique_ptr<Plan> make_plan(const Task& task, std::string* why) {
  std::unique_ptr<GraphPlan> plan;
  std::string trouble = trouble_of([&] {
    int major = 0, minor = 0;
    check("cuDNN", cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, int(task.device)));
    check("cuDNN", cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, int(task.device)));
    size_t free = 0, total = 0;
    check("cuDNN", cudaMemGetInfo(&free, &total));
    cudnnHandle_t handle = own_handles().on(int(task.device), nullptr);
    if (!handle) throw std::runtime_error("cuDNN gave no handle: is the driver old?");
    plan = std::make_unique<GraphPlan>(task, 10 * major + minor);
    plan->build(handle, nullptr, int64_t(total / 16));
    if (task.tuned) plan->tune();
  });
  if (why) *why = trouble;
  return trouble.empty() ? std::move(plan) : nullptr;
}

std::unique_ptr<Plan> make_plan_for(const Task& task, const std::string& properties, int sm, std::string* why) {
  std::unique_ptr<GraphPlan> plan;
  std::string trouble = trouble_of([&] {
    auto device = std::make_shared<fe::DeviceProperties>();
    need(device->deserialize({properties.begin(), properties.end()}));
    plan = std::make_unique<GraphPlan>(task, sm);
    plan->build(nullptr, device, int64_t(4) << 30);
  });
  if (why) *why = trouble;
  return trouble.empty() ? std::move(plan) : nullptr;
}

std::string unsupported(const Task& task, const std::string& properties, int sm) {
  return trouble_of([&] {
    auto device = std::make_shared<fe::DeviceProperties>();
    need(device->deserialize({properties.begin(), properties.end()}));
    GraphPlan(task, sm).choose(nullptr, device, int64_t(4) << 30);
  });
}

std::string invalid(const Task& task, int sm) {
  return trouble_of([&] { need(TaskGraph(task, sm).validate()); });
}

}  // namespace gradus::cuda::dnn
