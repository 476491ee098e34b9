#include "gradus/io/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace gradus {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kRedraw = 0.1;  // seconds between two drawings

bool is_terminal(int fd) {
  const char* kind = std::getenv("TERM");
  return isatty(fd) && !(kind && std::strcmp(kind, "dumb") == 0);
}

size_t columns(int fd) {
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

template <class... A> std::string text(const char* format, A... values) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

std::string duration(double seconds) {
  if (seconds < 10) return text("%.1f s", seconds);
  const auto s = int64_t(seconds + 0.5);
  if (s < 60) return text("%d s", int(s));
  if (s < 3600) return text("%d:%02d min", int(s / 60), int(s % 60));
  return text("%lld:%02d h", static_cast<long long>(s / 3600), int(s / 60 % 60));
}

std::string rate_of(double per_second) {
  if (per_second >= 100) return text("%.0f/s", per_second);
  return per_second >= 1 || per_second == 0 ? text("%.1f/s", per_second) : duration(1 / per_second) + " each";
}

}  // namespace

struct ProgressBar::State {
  std::string label;
  int64_t total, done = 0;
  int fd;
  bool live;  // draws while it runs
  bool finished = false;
  Clock::time_point start = Clock::now(), drawn = start;
  std::vector<std::pair<std::string, double>> figures;

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }
  double rate() const { return done / std::max(seconds(), 1e-9); }
  std::string counts() const {
    std::string line = std::to_string(done);
    if (total >= 0) line += "/" + std::to_string(total);
    return line;
  }
  std::string shown_figures() const {
    std::string line;
    for (auto& [name, value] : figures) line += "  " + name + text(" %.4g", value);
    return line;
  }

  void draw() {
    std::string head = label + "  ", tail = "  " + counts() + "  " + rate_of(rate());
    if (total > 0 && done > 0 && done < total) tail += "  " + duration(double(total - done) / rate()) + " left";
    tail += shown_figures();
    const size_t width = columns(fd);
    if (total > 0 && head.size() + tail.size() + 12 < width) {
      const size_t room = std::min<size_t>(30, width - head.size() - tail.size() - 3);
      const size_t full = std::min(room, size_t(double(room) * double(done) / double(total)));
      head += "[" + std::string(full, '=') + std::string(room - full, ' ') + "]";
    }
    std::string line = head + tail;
    if (line.size() >= width) line.resize(width - 1);
    write_out("\r" + line + "\x1b[K");  // clears what a longer line left
    drawn = Clock::now();
  }
  void write_out(const std::string& line) const {
    for (size_t at = 0; at < line.size();) {
      const ssize_t n = ::write(fd, line.data() + at, line.size() - at);
      if (n <= 0) return;  // nobody reads: training goes on
      at += size_t(n);
    }
  }
};

ProgressBar::ProgressBar(std::string label, int64_t total, int out) : state_(std::make_unique<State>()) {
  state_->label = std::move(label);
  state_->total = total;
  state_->fd = out >= 0 ? out : is_terminal(STDERR_FILENO) || !is_terminal(STDOUT_FILENO) ? STDERR_FILENO : STDOUT_FILENO;
  state_->live = is_terminal(state_->fd);
  if (state_->live) state_->draw();
}
ProgressBar::ProgressBar(ProgressBar&&) noexcept = default;
ProgressBar::~ProgressBar() {
  if (state_) finish();
}

void ProgressBar::advance(int64_t steps) {
  state_->done += steps;
  if (state_->live && std::chrono::duration<double>(Clock::now() - state_->drawn).count() >= kRedraw) state_->draw();
}

void ProgressBar::set(const std::string& name, double value) {
  for (auto& [known, figure] : state_->figures)
    if (known == name) {
      figure = value;
      return;
    }
  state_->figures.emplace_back(name, value);
}

void ProgressBar::finish() {
  State& s = *state_;
  if (s.finished) return;
  s.finished = true;
  if (s.live) {
    s.draw();
    s.write_out("\n");
  } else {
    s.write_out(s.label + ": " + s.counts() + " in " + duration(s.seconds()) + ", " + rate_of(s.rate()) + s.shown_figures() + "\n");
  }
}

}  // namespace gradus
