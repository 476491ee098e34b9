// Random numbers: counter-based (Philox4x32-10), so that one seed gives the same stream for any number of threads and on any device.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

namespace gradus {

struct GeneratorState {
  uint64_t seed = 0, offset = 0;  // offset: how many blocks of four words were drawn
  bool operator==(const GeneratorState&) const = default;
};

/// A stream of random numbers. Copies share the stream. Safe to use from several threads, each draw taking its own stretch.
class Generator {
 public:
  explicit Generator(uint64_t seed = 0);
  /// The generator of that name, the same object wherever it is asked for; its seed comes from the name and manual_seed().
  static Generator named(const std::string& name);

  void set_seed(uint64_t seed);
  uint64_t seed() const { return state().seed; }
  GeneratorState state() const;
  void set_state(const GeneratorState& state);
  /// Takes `blocks` blocks of four words from the stream and returns where they begin.
  GeneratorState take(uint64_t blocks);
  /// Both draw from one stream.
  bool is_same(const Generator& o) const { return shared_ == o.shared_; }

  // Single numbers, for augmentations and shuffling; each takes one block.
  uint64_t bits();
  /// In [0, 1), with 53 bits.
  double uniform();
  /// In [0, n). Throws ValueError for n < 1.
  int64_t below(int64_t n);

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

/// What random ops draw from where none is given.
Generator& default_generator();
/// Seeds the default generator and all named ones.
void manual_seed(uint64_t seed);

}  // namespace gradus
