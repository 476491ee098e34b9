// What the tape keeps behind its public face.
#pragma once
#include <functional>
#include <string>
#include <unordered_set>

#include "gradus/autograd/autograd.h"
#include "src/core/message.h"

namespace gradus {

struct NodeExtras {
  struct Hook {
    uint64_t id;
    uint32_t slot;
    std::function<AnyTensor(const AnyTensor&)> call;
  };
  struct PostHook {
    uint64_t id;
    std::function<void(AnyTensor&)> call;
  };
  std::vector<Hook> hooks;
  std::vector<PostHook> post_hooks;  // leaves only
  std::vector<AnyTensor> retained;   // per slot, after retain_grad()
  std::vector<bool> retain;
  std::vector<Shape> more_shapes;  // of outputs 1, 2, ...
  std::vector<AnyTensor> more_pending;
  std::string recorded_at;  // in anomaly mode
};
NodeExtras& extras_of(Node&);

/// Where a leaf's gradient is gathered. The tensor owns the node, the node owns the gradient.
struct Leaf final : Node {
  AnyTensor grad;                            // or, as long as nobody reads it,
  AnyTensor column, row;                     // their product: see gradient.h
  std::atomic_flag busy = ATOMIC_FLAG_INIT;  // two threads may reach one leaf from graphs of their own, or read its gradient
  bool counted = false;                      // it has hooks, which must see it once, with the whole gradient
  bool noted = false;                        // a recording knows it, or knew it
  ~Leaf();
  AnyTensor& multiplied_out();  // grad; for those who hold a LeafLock
  const char* name() const override { return "leaf"; }
  void backward(AnyTensor& g, AnyTensor*, bool create_graph) override;
};

class LeafLock {
 public:
  explicit LeafLock(Leaf& leaf) : busy_(leaf.busy) {
    while (busy_.test_and_set(std::memory_order_acquire)) {
    }
  }
  ~LeafLock() { busy_.clear(std::memory_order_release); }
  LeafLock(const LeafLock&) = delete;

 private:
  std::atomic_flag& busy_;
};

/// The node that this thread's backward is running, and what that backward is after.
struct Walk {
  Node* node = nullptr;
  const std::unordered_set<const Node*>* needed = nullptr;  // set by grad(): the rest of the graph is left alone
  bool frees_graph = false;                                 // a node that ran is not run again
};
/// Whether nobody else sees what x is or what it lies in.
inline bool owned_alone(const AnyTensor& x) { return x.ref().unique() && x.impl()->storage.unique(); }

extern thread_local constinit Walk current_walk;
/// The greatest sequence number that this thread has given: what is made later has a greater one.
uint64_t latest_sequence();
/// Gradients of outputs as grad() gives them, for nodes rather than tensors; undefined where none arrives. The walk ends at these nodes:
/// what lies beyond them is another walk's.
std::vector<AnyTensor> gradients_up_to(const std::vector<AnyTensor>& outputs, const std::vector<AnyTensor>& cotangents,
                                       const std::vector<Edge>& ends, bool create_graph);
/// In a rule: what has been gathered of the gradient of the input of that number, where the rule may add its share in place and hand on
/// none; else undefined.
AnyTensor gathered_for(uint32_t input);
extern std::atomic<int> hooked_leaves;
extern std::atomic<bool> anomaly_mode;

}  // namespace gradus
