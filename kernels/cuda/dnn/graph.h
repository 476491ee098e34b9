// cuDNN's graphs behind plain structs. graph.cpp is the one file that knows cuDNN's headers; the library itself is opened when a plan is
// first asked for.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "gradus/core/dtype.h"

namespace gradus::cuda::dnn {

enum class Job : int64_t {
  convolution,
  input_gradient,
  weight_gradient,
  attention,
  attention_gradient,
  batch_norm,
  batch_norm_gradient,
};

/// The operands of a task by number. A gradient stands in the place of what it is the gradient of: an input_gradient writes kX.
enum ConvolutionOperand : int { kX, kW, kY, kBias };
enum AttentionOperand : int { kQ, kK, kV, kOut, kLse, kCotangent, kQueryGradient, kKeyGradient, kValueGradient };
/// kNormed is y or its gradient. Channels' numbers are float32.
enum BatchNormOperand : int { kInput, kNormed, kScale, kShift, kMean, kRstd, kInputGradient, kScaleGradient, kShiftGradient };
inline constexpr int kMostTaskOperands = 9;

/// Four axes; without elements where the operand is absent.
struct Layout {
  int64_t size[4] = {}, stride[4] = {};
  bool present() const { return size[0] > 0; }
  bool operator==(const Layout&) const = default;
};

/// What a plan is made for: equal tasks share one. All members are 64 bits wide, so that a task is hashed as what it has in memory.
struct Task {
  Job job;
  int64_t device = 0;
  int64_t dtype = 0;            // a DType: float32, float16 or bfloat16; lse is always float32
  int64_t tensor_cores = true;  // of floats: may they be rounded to TF32?
  int64_t stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1};
  int64_t causal = false;
  int64_t deterministic = true;  // a gradient of attention: must it be added up in a fixed order?
  int64_t tuned = false;         // is the fastest of several plans wanted, or the library's first?
  double scale = 1;
  double eps = 0;  // of a batch_norm
  Layout operand[kMostTaskOperands];
  bool operator==(const Task&) const = default;
};

/// Whether operand k is of float32 whatever the task's dtype.
inline bool is_of_floats(Job job, int k) {
  switch (job) {
    case Job::attention:
    case Job::attention_gradient: return k == kLse;
    case Job::batch_norm:
    case Job::batch_norm_gradient: return k != kInput && k != kNormed && k != kInputGradient;
    default: return false;
  }
}

/// Made once for a task and run any number of times, from any thread.
class Plan {
 public:
  virtual ~Plan() = default;
  virtual size_t workspace() const = 0;
  virtual std::string engine() const = 0;
  /// Launches it on `stream` of the task's device, which is selected. data: by operand; workspace: 256-byte aligned. False where cuDNN
  /// refused, and then nothing was launched.
  virtual bool run(void* const* data, void* workspace, void* stream) const = 0;
  /// Whether this thread has what run() needs and must not make while a stream is captured.
  virtual bool ready() const = 0;
};

/// Empty where the library could be opened. It is looked for once, by the names that the system's loader knows and then beside the headers
/// that this was built with.
const std::string& why_absent();

/// Null where cuDNN has no engine for the task that gives the same numbers every time, in a sixteenth of the GPU's memory; then `why`, if
/// given, says what it said. Never throws.
std::unique_ptr<Plan> make_plan(const Task& task, std::string* why = nullptr);

/// The same for a GPU that need not be there, as cuDNN writes its properties down; sm: 90 for 9.0. Such a plan cannot run; it may
/// want 4 GiB.
std::unique_ptr<Plan> make_plan_for(const Task& task, const std::string& properties, int sm, std::string* why = nullptr);

/// Empty where make_plan_for would find an engine that takes the task, or else what that said. Nothing is compiled, so a driver only has to
/// be there.
std::string unsupported(const Task& task, const std::string& properties, int sm);

/// Empty where the graph keeps cuDNN's rules, as far as they are known without asking for engines.
std::string invalid(const Task& task, int sm);

}  // namespace gradus::cuda::dnn
