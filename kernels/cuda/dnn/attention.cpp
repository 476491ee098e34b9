// Attention. cuDNN's lse is the kernels' own: the natural logarithm, of scores with the scale. What a query sees that may look at nothing
// is not the same, so calls with a mask are left to our kernel; without one every query sees its key of number 0.
#include <optional>

#include "gradus/core/tuning.h"
#include "kernels/cuda/dnn/dnn.h"
#include "kernels/cuda/dnn/plans.h"
#include "kernels/cuda/dnn/tasks.h"

namespace gradus::cuda {

void attention(const Array& y, const Array& lse, const Array& q, const Array& k, const Array& v, const Array& mask,
               const AttentionParams& p);
void attention_backward(const Array& dq, const Array& dk, const Array& dv, const Array& g, const Array& y, const Array& lse,
                        const Array& q, const Array& k, const Array& v, const Array& mask, const AttentionParams& p);

namespace dnn {
namespace {

constexpr int64_t kPack = 8;  // numbers of a half type in 16 bytes

/// (batch, heads, rows, numbers), of an array with any number of outer axes of which at most two have more than one element. False where
/// it lies otherwise than cuDNN reads.
bool lay_out(Layout& to, const Array& x) {
  int axis[2], found = 0;
  for (int d = 0; d + 2 < x.rank; ++d) {
    if (x.size(d) == 1) continue;
    if (found == 2) return false;
    axis[found++] = d;
  }
  const int64_t rows = x.size(-2), width = x.size(-1);
  if (width % kPack != 0 || x.step(-1) != 1) return false;
  int64_t step = rows == 1 ? width : x.step(-2);
  to.size[3] = width, to.stride[3] = 1, to.size[2] = rows, to.stride[2] = step;
  for (int d = 1; d >= 0; --d) {  // heads, then the batch; one that is not there has some stride
    const bool there = d == 1 ? found > 0 : found > 1;
    const int from = found == 0 ? 0 : d == 1 ? axis[found - 1] : axis[0];
    to.size[d] = there ? x.size(from) : 1;
    to.stride[d] = there ? x.step(from) : to.size[d + 1] * to.stride[d + 1];
  }
  for (int d = 0; d < 3; ++d)
    if (to.stride[d] <= 0 || to.stride[d] % kPack != 0) return false;
  return true;
}
Layout without_gaps(const Layout& like) {
  Layout to = like;
  for (int d = 2; d >= 0; --d) to.stride[d] = to.size[d + 1] * to.stride[d + 1];
  return to;
}

/// A gradient, or room for one that nobody wants: cuDNN writes all three.
class Gradient {
 public:
  Gradient(const Array& x, const Layout& at) : data_(x.data) {
    if (!x) data_ = scratch_.emplace(size_t(at.size[0] * at.stride[0]) * 2).as<void>();
  }
  void* data() const { return data_; }

 private:
  std::optional<Scratch> scratch_;
  void* data_;
};

bool attend(const Array& y, const Array& lse, const Array& q, const Array& k, const Array& v, const Array& mask,
            const AttentionParams& p) {
  Task task{};
  if (!attention_task(task, y, q, k, v, mask, p)) return false;
  for (const Array* a : {&y, &lse, &q, &k, &v})
    if (!aligned(a->data)) return false;
  const Run run(task);
  void* const data[kMostTaskOperands] = {q.data, k.data, v.data, y.data, lse.data};
  return run && run(data);
}

bool attend_backward(const Array& dq, const Array& dk, const Array& dv, const Array& g, const Array& y, const Array& lse,
                     const Array& q, const Array& k, const Array& v, const Array& mask, const AttentionParams& p) {
  Task task{};
  if (!attention_task(task, y, q, k, v, mask, p) || !add_gradients(task, dq, dk, dv, g)) return false;
  for (const Array* a : {&dq, &dk, &dv, &g, &y, &lse, &q, &k, &v})
    if (!aligned(a->data)) return false;
  const Run run(task);
  if (!run) return false;
  const Gradient a(dq, task.operand[kQueryGradient]), b(dk, task.operand[kKeyGradient]), c(dv, task.operand[kValueGradient]);
  void* const data[kMostTaskOperands] = {q.data, k.data, v.data, y.data, lse.data, g.data, a.data(), b.data(), c.data()};
  return run(data);
}

}  // namespace

bool attention_task(Task& task, const Array& y, const Array& q, const Array& k, const Array& v, const Array& mask,
                    const AttentionParams& p) {
  if ((q.dtype != DType::float16 && q.dtype != DType::bfloat16) || mask || p.dropout > 0) return false;
  if (y.count == 0 || k.count == 0 || q.size(-1) > 256 || v.size(-1) > 256) return false;
  // Our own kernel does 2^26 products in less time than it takes to look at. Sizes that come from growing one sequence, a plan each, are
  // left to it for longer.
  const int64_t queries = q.size(-2), keys = k.size(-2), products = q.count * keys;
  const bool usual = queries % 64 == 0 && keys % 64 == 0;
  if (products < (int64_t(1) << (usual ? 26 : 30))) return false;
  task.job = Job::attention, task.dtype = int64_t(q.dtype), task.causal = p.causal, task.scale = p.scale;
  Layout* to = task.operand;
  if (!lay_out(to[kQ], q) || !lay_out(to[kK], k) || !lay_out(to[kV], v) || !lay_out(to[kOut], y)) return false;
  const int64_t batch = to[kQ].size[0], heads = to[kQ].size[1];
  to[kLse] = {{batch, heads, queries, 1}, {heads * queries, queries, 1, 1}};
  return true;
}

bool add_gradients(Task& task, const Array& dq, const Array& dk, const Array& dv, const Array& g) {
  Layout* to = task.operand;
  auto add = [&](int gradient, const Array& x, int of) {
    if (x) return lay_out(to[gradient], x);
    to[gradient] = without_gaps(to[of]);
    return true;
  };
  task.job = Job::attention_gradient, task.deterministic = deterministic();
  return lay_out(to[kCotangent], g) && add(kQueryGradient, dq, kQ) && add(kKeyGradient, dk, kK) && add(kValueGradient, dv, kV);
}

void attention(const Array& y, const Array& lse, const Array& q, const Array& k, const Array& v, const Array& mask,
               const AttentionParams& p) {
  if (!where_memory_allows([&] { return attend(y, lse, q, k, v, mask, p); })) cuda::attention(y, lse, q, k, v, mask, p);
}
void attention_backward(const Array& dq, const Array& dk, const Array& dv, const Array& g, const Array& y, const Array& lse,
                        const Array& q, const Array& k, const Array& v, const Array& mask, const AttentionParams& p) {
  if (!where_memory_allows([&] { return attend_backward(dq, dk, dv, g, y, lse, q, k, v, mask, p); }))
    cuda::attention_backward(dq, dk, dv, g, y, lse, q, k, v, mask, p);
}

}  // namespace dnn
}  // namespace gradus::cuda
