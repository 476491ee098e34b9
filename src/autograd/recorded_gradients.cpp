#include "src/autograd/recorded_gradients.h"

#include <utility>

#include "gradus/ops/create.h"
#include "gradus/ops/elementwise.h"
#include "gradus/ops/view.h"
#include "src/autograd/engine.h"

namespace gradus {

RecordedGradients::Value RecordedGradients::value_of(const Leaf& leaf) { return {leaf.grad, leaf.column, leaf.row}; }
void RecordedGradients::give(Leaf& leaf, const Value& value) {
  LeafLock lock(leaf);
  leaf.grad = value.grad, leaf.column = value.column, leaf.row = value.row;
}

void RecordedGradients::touch(Leaf& leaf, Touch how) {
  auto [at, first] = of_.try_emplace(&leaf);
  One& one = at->second;
  if (first) {
    leaf.noted = true;
    one.before = value_of(leaf), one.reads = how != Touch::set, one.adds_first = how == Touch::add;
  }
  one.only_adds = one.only_adds && how == Touch::add;
}

std::vector<Ref<Storage>> RecordedGradients::end() {
  std::vector<Ref<Storage>> written;
  for (auto& [leaf, one] : of_) {
    one.owner = Ref<Node>::share(leaf);
    one.after = value_of(*leaf);
    if (one.after.grad) written.push_back(one.after.grad.impl()->storage);
  }
  return written;
}

void RecordedGradients::put_back() noexcept {
  for (auto& [leaf, one] : of_) {
    give(*leaf, one.before);
    if (!one.reads) one.before = {};
  }
}

void RecordedGradients::before_replay() {
  NoGrad no_grad;
  for (auto& [leaf, one] : of_) {
    if (!one.reads) continue;
    AnyTensor now;
    {
      LeafLock lock(*leaf);
      now = leaf->multiplied_out();
    }
    AnyTensor& there = one.before.grad;
    if (there) {
      if (now && !now.is_same(there))
        there.copy_(now);
      else if (!now && one.adds_first)
        there.fill_(0);
      else if (!now)
        fail<Error>("capture: the step reads the gradient of a parameter of shape ", leaf->shape,
                    ", which has none now; call backward() before the step, or capture the step anew");
    } else if (now) {
      if (!one.only_adds)
        fail<Error>("capture: a parameter of shape ", leaf->shape,
                    " has a gradient now and had none when the step was recorded, and the step does more than add to it; call "
                    "zero_grad() before each step");
      const bool is_replays = one.after.grad && now.impl()->storage.get() == one.after.grad.impl()->storage.get();
      one.more = is_replays ? clone(now) : now;  // the replay writes over its own
    }
  }
}

void RecordedGradients::after_replay() {
  NoGrad no_grad;
  for (auto& [leaf, one] : of_) {
    give(*leaf, one.after);
    if (AnyTensor more = std::exchange(one.more, {})) give(*leaf, {add(more, one.after.grad), {}, {}});
  }
}

}  // namespace gradus
