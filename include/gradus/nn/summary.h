// What a network is made of: its layers, the shapes that come out of them, how many numbers are learned.
#pragma once
#include "gradus/autograd/mode.h"
#include "gradus/nn/module.h"

namespace gradus::nn {

struct SummaryRow {
  std::string name;  // "features.0"; the network itself is ""
  std::string type;
  int depth = 0;
  Shape output;            // of the last call
  bool called = false;     // a module that forward does not call has no shape
  int64_t parameters = 0;  // of its own, those of the modules below not counted
  int calls = 0;
};
struct Summary {
  std::vector<SummaryRow> rows;  // in the order of the members
  int64_t parameters = 0, trainable = 0;
  int64_t bytes = 0;  // of parameters and buffers
};
/// The table that a person reads.
std::string to_string(const Summary& summary);

namespace detail {
/// Gathers what is seen while the network runs.
class SummaryObserver : public CallObserver {
 public:
  explicit SummaryObserver(Module& net);
  void after(Module& module, const AnyTensor& output) override;
  Summary summary;

 private:
  std::vector<const Module*> modules_;
};
}  // namespace detail

/// Runs the network once on the inputs, in eval mode and without a graph, and leaves it as it was.
///   std::puts(to_string(nn::summary(net, zeros<float>({1, 1, 28, 28}))).c_str());
template <class Net, class... Inputs> Summary summary(Net& net, const Inputs&... inputs) {
  struct Restore {  // modules may be in different modes
    std::vector<std::pair<Module*, bool>> modes;
    explicit Restore(Module& net) {
      for (auto& [name, module] : net.modules()) modes.emplace_back(module, module->training());
      net.eval();
    }
    ~Restore() {
      for (auto& [module, training] : modes) module->set_training(training);
    }
  } restore(net);
  NoGrad no_grad;
  detail::SummaryObserver observer(net);
  net(inputs...);
  return std::move(observer.summary);
}

}  // namespace gradus::nn
