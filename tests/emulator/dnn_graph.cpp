// In the place of cuDNN's graphs (kernels/cuda/dnn/graph.cpp) on an emulated GPU: tasks are carried out by their definition, in double.
// GRADUS_EMULATED_CUDNN says what there is: nothing, so that this library's own kernels are tested, unless it is "on"; with "refusing" no plan
// runs when it comes to it, with "greedy" none gets the memory that it wants, and with "poor" there is no engine for anything.
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cuda/dnn/dnn.h"
#include "kernels/cuda/dnn/graph.h"
#include "tests/emulator/libraries/stand_in.h"
#include "tests/emulator/runtime.h"

namespace {
std::atomic<int64_t> runs = 0;
}
/// How many plans ran.
extern "C" int64_t gradus_emulated_cudnn_runs() { return runs; }

namespace gradus::cuda::dnn {
namespace {

const char* mode() {
  const char* mode = std::getenv("GRADUS_EMULATED_CUDNN");
  return mode ? mode : "off";
}
bool is(const char* what) { return std::strcmp(mode(), what) == 0; }

constexpr size_t kWorkspace = 4096;

/// An operand, by its four indices; as what it is stored as.
struct Operand {
  Layout at;
  DType dtype;
  void* data;
  int64_t size(int d) const { return at.size[d]; }
  int64_t offset(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return a * at.stride[0] + b * at.stride[1] + c * at.stride[2] + d * at.stride[3];
  }
  double operator()(int64_t a, int64_t b, int64_t c, int64_t d) const {
    const int64_t i = offset(a, b, c, d);
    if (dtype == DType::float16) return double(float(static_cast<half*>(data)[i]));
    if (dtype == DType::bfloat16) return double(float(static_cast<bfloat16*>(data)[i]));
    return double(static_cast<float*>(data)[i]);
  }
  void put(int64_t a, int64_t b, int64_t c, int64_t d, double value) const {
    const int64_t i = offset(a, b, c, d);
    if (dtype == DType::float16)
      static_cast<half*>(data)[i] = half(float(value));
    else if (dtype == DType::bfloat16)
      static_cast<bfloat16*>(data)[i] = bfloat16(float(value));
    else
      static_cast<float*>(data)[i] = float(value);
  }
  template <class F> void fill(F f) const {
    for (int64_t a = 0; a < size(0); ++a)
      for (int64_t b = 0; b < size(1); ++b)
        for (int64_t c = 0; c < size(2); ++c)
          for (int64_t d = 0; d < size(3); ++d) put(a, b, c, d, f(a, b, c, d));
  }
};

struct Operands {
  Task task;
  Operand of[kMostTaskOperands];
  const Operand& operator[](int k) const { return of[k]; }
};

/// f(x's row, x's column) for what falls into the image, of the window's place that y's pixel begins at.
struct Window {
  const Task& task;
  const Layout &x, &y;
  int64_t row(int64_t of_y, int64_t of_window) const {
    return of_y * task.stride[0] - task.padding[0] + of_window * task.dilation[0];
  }
  int64_t column(int64_t of_y, int64_t of_window) const {
    return of_y * task.stride[1] - task.padding[1] + of_window * task.dilation[1];
  }
  bool inside(int64_t h, int64_t w) const { return h >= 0 && h < x.size[2] && w >= 0 && w < x.size[3]; }
};

void convolve(const Operands& o) {
  const Operand &x = o[kX], &w = o[kW], &y = o[kY], &bias = o[kBias];
  const Window window{o.task, x.at, y.at};
  const int64_t wide = w.size(1), groups = x.size(1) / wide, outs = y.size(1) / groups;
  y.fill([&](int64_t n, int64_t k, int64_t i, int64_t j) {
    double sum = bias.at.present() ? bias(0, k, 0, 0) : 0;
    for (int64_t c = 0; c < wide; ++c)
      for (int64_t a = 0; a < w.size(2); ++a)
        for (int64_t b = 0; b < w.size(3); ++b) {
          const int64_t h = window.row(i, a), v = window.column(j, b);
          if (window.inside(h, v)) sum += x(n, k / outs * wide + c, h, v) * w(k, c, a, b);
        }
    return sum;
  });
}

/// Both gradients: each product of a pixel of y and a weight goes to where it is wanted.
void convolve_back(const Operands& o, bool of_weight) {
  const Operand &x = o[kX], &w = o[kW], &y = o[kY], &to = of_weight ? w : x;
  const Window window{o.task, x.at, y.at};
  const int64_t wide = w.size(1), groups = x.size(1) / wide, outs = y.size(1) / groups;
  const int64_t s3 = to.size(3), s2 = s3 * to.size(2), s1 = s2 * to.size(1);
  std::vector<double> sums(size_t(s1 * to.size(0)));
  for (int64_t n = 0; n < y.size(0); ++n)
    for (int64_t k = 0; k < y.size(1); ++k)
      for (int64_t i = 0; i < y.size(2); ++i)
        for (int64_t j = 0; j < y.size(3); ++j)
          for (int64_t c = 0; c < wide; ++c)
            for (int64_t a = 0; a < w.size(2); ++a)
              for (int64_t b = 0; b < w.size(3); ++b) {
                const int64_t h = window.row(i, a), v = window.column(j, b), from = k / outs * wide + c;
                if (!window.inside(h, v)) continue;
                if (of_weight)
                  sums[size_t(k * s1 + c * s2 + a * s3 + b)] += y(n, k, i, j) * x(n, from, h, v);
                else
                  sums[size_t(n * s1 + from * s2 + h * s3 + v)] += y(n, k, i, j) * w(k, c, a, b);
              }
  to.fill([&](int64_t a, int64_t b, int64_t c, int64_t d) { return sums[size_t(a * s1 + b * s2 + c * s3 + d)]; });
}

/// The scores of a query, times scale; -inf where it may not look.
void scores(std::vector<double>& to, const Operands& o, int64_t b, int64_t h, int64_t i) {
  const Operand &q = o[kQ], &k = o[kK];
  for (int64_t j = 0; j < k.size(2); ++j) {
    double sum = 0;
    for (int64_t d = 0; d < q.size(3); ++d) sum += q(b, h, i, d) * k(b, h, j, d);
    to[size_t(j)] = o.task.causal && j > i ? -INFINITY : sum * o.task.scale;
  }
}

void attend(const Operands& o) {
  const Operand &v = o[kV], &y = o[kOut], &lse = o[kLse];
  std::vector<double> s(size_t(v.size(2))), row(size_t(v.size(3)));
  for (int64_t b = 0; b < y.size(0); ++b)
    for (int64_t h = 0; h < y.size(1); ++h)
      for (int64_t i = 0; i < y.size(2); ++i) {
        scores(s, o, b, h, i);
        double most = -INFINITY, total = 0;
        for (double x : s) most = std::max(most, x);
        for (double& x : s) total += x = std::exp(x - most);
        std::fill(row.begin(), row.end(), 0);
        for (size_t j = 0; j < s.size(); ++j)
          for (size_t d = 0; d < row.size(); ++d) row[d] += s[j] / total * v(b, h, int64_t(j), int64_t(d));
        for (size_t d = 0; d < row.size(); ++d) y.put(b, h, i, int64_t(d), row[d]);
        lse.put(b, h, i, 0, most + std::log(total));
      }
}

void attend_back(const Operands& o) {
  const Operand &q = o[kQ], &k = o[kK], &v = o[kV], &y = o[kOut], &lse = o[kLse], &g = o[kCotangent];
  const size_t keys = size_t(k.size(2)), size = size_t(q.size(3)), wide = size_t(v.size(3));
  std::vector<double> s(keys), dq(size), dk(keys * size), dv(keys * wide);
  for (int64_t b = 0; b < q.size(0); ++b)
    for (int64_t h = 0; h < q.size(1); ++h) {
      std::fill(dk.begin(), dk.end(), 0), std::fill(dv.begin(), dv.end(), 0);
      for (int64_t i = 0; i < q.size(2); ++i) {
        scores(s, o, b, h, i);
        double drawn = 0;
        for (size_t e = 0; e < wide; ++e) drawn += g(b, h, i, int64_t(e)) * y(b, h, i, int64_t(e));
        std::fill(dq.begin(), dq.end(), 0);
        for (size_t j = 0; j < keys; ++j) {
          const double p = std::exp(s[j] - lse(b, h, i, 0));
          double dp = 0;
          for (size_t e = 0; e < wide; ++e) {
            const double u = g(b, h, i, int64_t(e));
            dp += u * v(b, h, int64_t(j), int64_t(e)), dv[j * wide + e] += p * u;
          }
          const double ds = p * (dp - drawn) * o.task.scale;
          for (size_t d = 0; d < size; ++d) {
            dq[d] += ds * k(b, h, int64_t(j), int64_t(d)), dk[j * size + d] += ds * q(b, h, i, int64_t(d));
          }
        }
        for (size_t d = 0; d < size; ++d) o[kQueryGradient].put(b, h, i, int64_t(d), dq[d]);
      }
      for (size_t j = 0; j < keys; ++j) {
        for (size_t d = 0; d < size; ++d) o[kKeyGradient].put(b, h, int64_t(j), int64_t(d), dk[j * size + d]);
        for (size_t e = 0; e < wide; ++e) o[kValueGradient].put(b, h, int64_t(j), int64_t(e), dv[j * wide + e]);
      }
    }
}

template <class F> void each_of_channel(const Operand& x, int64_t c, F f) {
  for (int64_t n = 0; n < x.size(0); ++n)
    for (int64_t i = 0; i < x.size(2); ++i)
      for (int64_t j = 0; j < x.size(3); ++j) f(n, c, i, j);
}

void normalise(const Operands& o) {
  const Operand &x = o[kInput], &y = o[kNormed];
  const double count = double(x.size(0) * x.size(2) * x.size(3));
  for (int64_t c = 0; c < x.size(1); ++c) {
    double sum = 0, squares = 0;
    each_of_channel(x, c, [&](auto... at) { sum += x(at...); });
    const double mean = sum / count;
    each_of_channel(x, c, [&](auto... at) { squares += (x(at...) - mean) * (x(at...) - mean); });
    const double rstd = 1 / std::sqrt(squares / count + o.task.eps), scale = o[kScale](0, c, 0, 0), shift = o[kShift](0, c, 0, 0);
    each_of_channel(x, c, [&](auto... at) { y.put(at..., (x(at...) - mean) * rstd * scale + shift); });
    o[kMean].put(0, c, 0, 0, mean), o[kRstd].put(0, c, 0, 0, rstd);
  }
}

void normalise_back(const Operands& o) {
  const Operand &x = o[kInput], &g = o[kNormed], &dx = o[kInputGradient];
  const double count = double(x.size(0) * x.size(2) * x.size(3));
  for (int64_t c = 0; c < x.size(1); ++c) {
    const double mean = o[kMean](0, c, 0, 0), rstd = o[kRstd](0, c, 0, 0), scale = o[kScale](0, c, 0, 0);
    double sum = 0, product = 0;
    each_of_channel(x, c, [&](auto... at) { sum += g(at...), product += g(at...) * (x(at...) - mean) * rstd; });
    each_of_channel(x, c, [&](auto... at) {
      dx.put(at..., scale * rstd * (g(at...) - sum / count - (x(at...) - mean) * rstd * product / count));
    });
    o[kScaleGradient].put(0, c, 0, 0, product), o[kShiftGradient].put(0, c, 0, 0, sum);
  }
}

void carry_out(const Operands& o, void* workspace) {
  std::memset(workspace, 0xff, kWorkspace);
  switch (o.task.job) {
    case Job::convolution: return convolve(o);
    case Job::input_gradient: return convolve_back(o, false);
    case Job::weight_gradient: return convolve_back(o, true);
    case Job::attention: return attend(o);
    case Job::attention_gradient: return attend_back(o);
    case Job::batch_norm: return normalise(o);
    case Job::batch_norm_gradient: return normalise_back(o);
  }
}

thread_local bool prepared = false;  // stands for a thread's handle

class TaskPlan final : public Plan {
 public:
  explicit TaskPlan(const Task& task) : task_(task) {}
  size_t workspace() const override { return is("greedy") ? size_t(1) << 50 : kWorkspace; }
  std::string engine() const override { return "emulated"; }
  bool ready() const override { return prepared; }
  bool run(void* const* data, void* workspace, void* stream) const override {
    prepared = true;
    if (is("refusing")) return emulator::set_error(cudaErrorInvalidValue), false;
    if (!emulator::is_on_device(workspace) || !emulator::is_aligned(workspace, 256)) return false;
    Operands o{task_, {}};
    for (int k = 0; k < kMostTaskOperands; ++k) {
      if (!task_.operand[k].present()) continue;
      if (!emulator::is_on_device(data[k]) || !emulator::is_aligned(data[k], 16)) return false;
      o.of[k] = {task_.operand[k], is_of_floats(task_.job, k) ? DType::float32 : DType(task_.dtype), data[k]};
    }
    ++runs;
    emulator::enqueue(static_cast<cudaStream_t>(stream), [=] { carry_out(o, workspace); });
    return true;
  }

 private:
  const Task task_;
};

std::unique_ptr<Plan> refused(std::string* why) {
  if (why) *why = "the emulated cuDNN has no engine";
  return nullptr;
}

}  // namespace

const std::string& why_absent() {
  static const std::string why = is("off") ? "cuDNN is not emulated" : "";
  return why;
}
void prepare_thread(int) noexcept { prepared = true; }
/// Engines that were tried in vain leave an error behind, whether there is another or not.
std::unique_ptr<Plan> make_plan(const Task& task, std::string* why) {
  emulator::set_error(cudaErrorInvalidValue);
  if (is("poor")) return refused(why);
  return std::make_unique<TaskPlan>(task);
}
std::unique_ptr<Plan> make_plan_for(const Task&, const std::string&, int, std::string* why) { return refused(why); }
std::string unsupported(const Task&, const std::string&, int) { return "the emulated cuDNN knows no other GPU"; }
std::string invalid(const Task&, int) { return ""; }

}  // namespace gradus::cuda::dnn
