#include "gradus/nn/summary.h"

#include <algorithm>

namespace gradus::nn {
namespace {

/// 1234567 as 1,234,567.
std::string grouped(int64_t n) {
  std::string text = std::to_string(n);
  for (int at = int(text.size()) - 3; at > 0; at -= 3) text.insert(size_t(at), ",");
  return text;
}
std::string sized(int64_t bytes) {
  const char* units[] = {"bytes", "KiB", "MiB", "GiB"};
  double n = double(bytes);
  int unit = 0;
  for (; n >= 1024 && unit < 3; ++unit) n /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
  return text;
}

struct Rows : Visitor {
  Summary& summary;
  std::vector<const Module*>& modules;
  std::vector<size_t> open;  // the rows of the modules around
  std::vector<const Impl*> seen;
  Rows(Summary& summary, std::vector<const Module*>& modules) : summary(summary), modules(modules) {}
  bool first(const AnyTensor& t) {
    if (std::find(seen.begin(), seen.end(), t.impl()) != seen.end()) return false;
    seen.push_back(t.impl());
    summary.bytes += t.numel() * int64_t(item_size(t.dtype()));
    return true;
  }
  void enter(const std::string& name, Module& m) override {
    SummaryRow row;
    row.name = name, row.type = type_name(m), row.depth = int(open.size());
    open.push_back(summary.rows.size());
    summary.rows.push_back(row), modules.push_back(&m);
  }
  void leave(const std::string&, Module&) override { open.pop_back(); }
  void parameter(const std::string&, Parameter& p) override {
    if (!first(p)) return;  // a shared one counts where it is met first
    summary.rows[open.back()].parameters += p.numel();
    summary.parameters += p.numel();
    if (p.requires_grad()) summary.trainable += p.numel();
  }
  void buffer(const std::string&, Buffer& b) override { first(b); }
};

}  // namespace

namespace detail {
SummaryObserver::SummaryObserver(Module& net) {
  Rows rows(summary, modules_);
  net.visit(rows);
}
void SummaryObserver::after(Module& module, const AnyTensor& output) {
  auto found = std::find(modules_.begin(), modules_.end(), &module);
  if (found == modules_.end()) return;
  SummaryRow& row = summary.rows[size_t(found - modules_.begin())];
  ++row.calls;
  row.called = output.defined();
  if (row.called) row.output = output.shape();
}
}  // namespace detail

std::string to_string(const Summary& s) {
  std::vector<std::string> left, middle, right;
  size_t width[2] = {5, 6};
  for (const SummaryRow& row : s.rows) {
    std::string last = row.name.substr(row.name.rfind('.') + 1);
    left.push_back(std::string(size_t(row.depth) * 2, ' ') + (last.empty() ? row.type : last + ": " + row.type));
    middle.push_back(row.called ? gradus::to_string(row.output) : "-");
    right.push_back(row.parameters ? grouped(row.parameters) : "-");
    width[0] = std::max(width[0], left.back().size()), width[1] = std::max(width[1], middle.back().size());
  }
  auto line = [&](const std::string& a, const std::string& b, const std::string& c) {
    return a + std::string(width[0] + 2 - a.size(), ' ') + b + std::string(width[1] + 2 - b.size(), ' ') +
           std::string(c.size() < 12 ? 12 - c.size() : 0, ' ') + c + "\n";
  };
  std::string rule(width[0] + width[1] + 16, '-');
  std::string text = line("layer", "output", "parameters") + rule + "\n";
  for (size_t i = 0; i < left.size(); ++i) text += line(left[i], middle[i], right[i]);
  text += rule + "\n" + grouped(s.parameters) + " parameters";
  if (s.trainable != s.parameters) text += ", " + grouped(s.trainable) + " of them trained";
  return text + ", " + sized(s.bytes);
}

}  // namespace gradus::nn
