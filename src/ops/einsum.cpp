#include "gradus/ops/einsum.h"

#include <algorithm>
#include <cctype>

#include "gradus/ops/matmul.h"
#include "gradus/ops/reduce.h"
#include "gradus/ops/shape_ops.h"
#include "src/ops/op.h"

namespace gradus {
namespace {

/// The axes of a tensor by name: letters, and digits counted from the right for those of "...".
using Labels = std::string;
struct Operand {
  AnyTensor x;
  Labels labels;
};

char dots_label(int from_right) { return char('0' + from_right); }

[[noreturn, gnu::cold]] void fail_equation(const std::string& equation, const std::string& why) {
  fail<ValueError>("einsum: \"", equation, "\": ", why);
}

/// The labels of one term; `dots` axes stand for "...".
Labels read_term(const std::string& equation, const std::string& term, int dots, bool& has_dots) {
  Labels labels;
  has_dots = false;
  for (size_t i = 0; i < term.size(); ++i) {
    if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      labels += term[i];
    } else if (term.compare(i, 3, "...") == 0 && !has_dots) {
      for (int k = dots; k > 0; --k) labels += dots_label(k - 1);
      has_dots = true, i += 2;
    } else {
      fail_equation(equation, "a term is letters and at most one \"...\"; \"" + term + "\" is not");
    }
  }
  return labels;
}

std::vector<std::string> split_at(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (char c : text)
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

/// x with its axes in the order of `labels`, which it has all and no others.
AnyTensor arranged(const Operand& o, const Labels& labels) {
  Shape order;
  for (char c : labels) order.push_back(int64_t(o.labels.find(c)));
  return permute(o.x, order);
}

/// Without the labels that are not in `kept`.
void sum_out(Operand& o, const Labels& kept) {
  Labels left;
  std::vector<int64_t> axes;
  for (size_t d = 0; d < o.labels.size(); ++d)
    if (kept.find(o.labels[d]) == Labels::npos)
      axes.push_back(int64_t(d));
    else
      left += o.labels[d];
  if (axes.empty()) return;
  o = {to(sum(o.x, axes), o.x.dtype()), left};
}

/// A letter that stands twice in one term is its diagonal.
void take_diagonals(const std::string& equation, Operand& o) {
  for (size_t d = 0; d < o.labels.size(); ++d) {
    size_t again = o.labels.find(o.labels[d], d + 1);
    if (again == Labels::npos) continue;
    char label = o.labels[d];
    if (o.x.shape()[int(d)] != o.x.shape()[int(again)])
      fail<ShapeError>("einsum: \"", equation, "\": ", label, " names axes of sizes ", o.x.shape()[int(d)], " and ",
                       o.x.shape()[int(again)], " of one tensor");
    o.x = diagonal(o.x, 0, int64_t(d), int64_t(again));  // the diagonal is the last axis now
    o.labels.erase(again, 1), o.labels.erase(d, 1);
    o.labels += label;
    d = size_t(-1);
  }
}

/// The product of two, summed over the labels that are not in `kept`.
Operand product(Operand a, Operand b, const Labels& kept) {
  sum_out(a, kept + b.labels), sum_out(b, kept + a.labels);
  Labels batch, summed, left, right;
  for (char c : a.labels)
    if (b.labels.find(c) == Labels::npos)
      left += c;
    else
      (kept.find(c) == Labels::npos ? summed : batch) += c;
  for (char c : b.labels)
    if (a.labels.find(c) == Labels::npos) right += c;
  AnyTensor p = arranged(a, batch + left + summed), q = arranged(b, batch + summed + right);
  auto size = [](const AnyTensor& x, size_t from, size_t count) {
    int64_t n = 1;
    for (size_t d = from; d < from + count; ++d) n *= x.shape()[int(d)];
    return n;
  };
  Shape result, wide_p = p.shape(), wide_q = q.shape();
  for (size_t k = 0; k < batch.size() + summed.size(); ++k) {  // a size of 1 goes with any other
    int i = int(k < batch.size() ? k : k + left.size()), j = int(k);
    wide_p[i] = wide_q[j] = wide_p[i] == 1 ? wide_q[j] : wide_p[i];
  }
  p = expand(p, wide_p), q = expand(q, wide_q);
  for (size_t d = 0; d < batch.size() + left.size(); ++d) result.push_back(p.shape()[int(d)]);
  for (size_t d = 0; d < right.size(); ++d) result.push_back(q.shape()[int(batch.size() + summed.size() + d)]);
  int64_t blocks = size(p, 0, batch.size()), rows = size(p, batch.size(), left.size());
  int64_t inner = size(q, batch.size(), summed.size()), columns = size(q, batch.size() + summed.size(), right.size());
  AnyTensor y = summed.empty() && left.empty() && right.empty()
                    ? p * q
                    : bmm(reshape(p, {blocks, rows, inner}), reshape(q, {blocks, inner, columns}));
  return {reshape(y, result), batch + left + right};
}

}  // namespace

AnyTensor einsum(const std::string& equation, const TensorList& operands) {
  std::string text;
  for (char c : equation)
    if (c != ' ') text += c;
  size_t arrow = text.find("->");
  std::vector<std::string> terms = split_at(text.substr(0, arrow), ',');
  if (operands.empty() || terms.size() != operands.size())
    fail_equation(equation, std::to_string(terms.size()) + " terms for " + std::to_string(operands.size()) + " tensors");
  std::vector<Operand> all;
  int most_dots = 0;
  int64_t sizes[128];
  std::fill(std::begin(sizes), std::end(sizes), 1);
  int times[128] = {};
  for (size_t k = 0; k < terms.size(); ++k) {
    check_same("einsum", operands[0], operands[k]);
    int letters = int(std::count_if(terms[k].begin(), terms[k].end(), [](unsigned char c) { return std::isalpha(c); }));
    int dots = std::max(operands[k].dim() - letters, 0);
    bool has_dots;
    Operand o{operands[k], read_term(equation, terms[k], dots, has_dots)};
    if (int(o.labels.size()) != o.x.dim() || (dots > 0 && !has_dots))
      fail<ShapeError>("einsum: \"", equation, "\": term ", terms[k], " for a tensor of shape ", o.x.shape());
    if (has_dots) most_dots = std::max(most_dots, dots);
    for (size_t d = 0; d < o.labels.size(); ++d) {
      int64_t& size = sizes[size_t(o.labels[d])];
      int64_t n = o.x.shape()[int(d)];
      if (n != size && n != 1 && size != 1)
        fail<ShapeError>("einsum: \"", equation, "\": ", o.labels[d], " has sizes ", size, " and ", n);
      if (n != 1) size = n;
      ++times[size_t(o.labels[d])];
    }
    take_diagonals(equation, o);
    all.push_back(std::move(o));
  }
  Labels out;
  if (arrow != std::string::npos) {
    bool has_dots;
    out = read_term(equation, text.substr(arrow + 2), most_dots, has_dots);
    for (size_t d = 0; d < out.size(); ++d) {
      if (times[size_t(out[d])] == 0) fail_equation(equation, std::string("the result's ") + out[d] + " stands in no term");
      if (out.find(out[d], d + 1) != Labels::npos) fail_equation(equation, std::string("the result names ") + out[d] + " twice");
    }
  } else {
    for (int k = most_dots; k > 0; --k) out += dots_label(k - 1);
    for (int c = 'A'; c <= 'z'; ++c)
      if (std::isalpha(c) && times[c] == 1) out += char(c);
  }
  Operand y = all[0];
  for (size_t k = 1; k < all.size(); ++k) {
    Labels kept = out;
    for (size_t later = k + 1; later < all.size(); ++later) kept += all[later].labels;
    y = product(std::move(y), all[k], kept);
  }
  sum_out(y, out);
  return arranged(y, out);
}

}  // namespace gradus
