// The gradients that a captured step leaves at its leaves. Where a step runs, backward hangs tensors on the leaves and zero_grad() takes
// them away; a replay only writes memory, so what the host would have done there is done for it.
#pragma once
#include <map>
#include <vector>

#include "gradus/autograd/node.h"

namespace gradus {

struct Leaf;

class RecordedGradients {
 public:
  enum class Touch { read, add, set };
  /// While the step is recorded, before it does that with a leaf's gradient. The caller holds the leaf's lock, where it takes one.
  void touch(Leaf& leaf, Touch how);
  /// A leaf that was touched goes.
  void gone(Leaf& leaf) noexcept { of_.erase(&leaf); }

  /// The step was recorded: remembers what it has left, and whose memory each replay writes.
  std::vector<Ref<Storage>> end();
  /// What was recorded has not been done: leaves have what they had before.
  void put_back() noexcept;
  /// Brings the gradients that are there now to where the recorded tasks read them. Throws Error where the step cannot go on from them.
  void before_replay();
  /// Leaves have what the step has left.
  void after_replay();

 private:
  struct Value {
    AnyTensor grad, column, row;  // as a leaf has them
  };
  struct One {
    Ref<Node> owner;  // set at the end: a leaf that was made within the step may go
    Value before, after;
    bool reads = false;      // what was there before the step matters to it
    bool adds_first = true;  // and is only added to at first
    bool only_adds = true;   // and for the rest of the step
    AnyTensor more = {};     // to be added to what the replay makes
  };
  static Value value_of(const Leaf& leaf);
  static void give(Leaf& leaf, const Value& value);

  std::map<Leaf*, One> of_;
};

}  // namespace gradus
