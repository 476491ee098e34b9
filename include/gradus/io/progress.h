// A progress bar around anything that can be looped over.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace gradus {

/// On a terminal one line, redrawn in place: steps done, rate, time left, running figures. Anywhere else nothing but one line at
/// the end, on stderr. Draws on stderr, or on stdout where only that is a terminal, or on the file descriptor `out`.
class ProgressBar {
 public:
  /// `total` is the number of steps, -1 where nobody knows.
  explicit ProgressBar(std::string label, int64_t total = -1, int out = -1);
  ~ProgressBar();
  ProgressBar(ProgressBar&&) noexcept;
  void advance(int64_t steps = 1);
  /// A figure that is shown behind the bar from now on: set("loss", loss.item()).
  void set(const std::string& name, double value);
  /// Writes the last line. Called where it is not said.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A range that moves a ProgressBar as it is looped over. The clock starts with the loop.
template <class R> class Progress {
 public:
  Progress(R&& range, std::string label) : range_(std::forward<R>(range)), label_(std::move(label)) {}
  void set(const std::string& name, double value) {
    if (bar_) bar_->set(name, value);
  }

  struct End {};
  template <class I, class E> class Iterator {
   public:
    Iterator(Progress* owner, I at, E end) : owner_(owner), at_(std::move(at)), end_(std::move(end)) {}
    decltype(auto) operator*() { return *at_; }
    Iterator& operator++() {
      owner_->bar_->advance();
      ++at_;
      return *this;
    }
    bool operator==(End) {
      const bool over = at_ == end_;
      if (over) owner_->bar_->finish();
      return over;
    }

   private:
    Progress* owner_;
    I at_;
    E end_;
  };
  auto begin() {
    int64_t total = -1;
    if constexpr (requires { range_.size(); }) total = int64_t(range_.size());
    bar_ = std::make_unique<ProgressBar>(label_, total);
    return Iterator<decltype(range_.begin()), decltype(range_.end())>(this, range_.begin(), range_.end());
  }
  End end() const { return {}; }

 private:
  R range_;
  std::string label_;
  std::unique_ptr<ProgressBar> bar_;
};

/// for (auto [x, y] : progress(loader, "epoch 1")) ...; to show figures, give it a name:
///   auto steps = progress(loader, "epoch 1");
///   for (auto [x, y] : steps) steps.set("loss", train(x, y));
template <class R> Progress<R> progress(R&& range, std::string label) { return {std::forward<R>(range), std::move(label)}; }

}  // namespace gradus
