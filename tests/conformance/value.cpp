#include "tests/conformance/value.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

namespace conformance {
namespace {

using nlohmann::json;

double special(const std::string& s) {
  if (s == "inf") return std::numeric_limits<double>::infinity();
  if (s == "-inf") return -std::numeric_limits<double>::infinity();
  if (s == "nan") return std::numeric_limits<double>::quiet_NaN();
  throw std::runtime_error("a float named " + s);
}

Value converted(const json& j, const Tensors& tensors) {
  Value v;
  if (j.is_null()) {
    v.kind = Value::null;
  } else if (j.is_boolean()) {
    v.kind = Value::boolean, v.b = j.get<bool>();
  } else if (j.is_number_integer()) {
    v.kind = Value::integer, v.i = j.get<int64_t>(), v.d = double(v.i);
  } else if (j.is_number()) {
    v.kind = Value::number, v.d = j.get<double>();
  } else if (j.is_string()) {
    v.kind = Value::text, v.s = j.get<std::string>();
  } else if (j.is_array()) {
    v.kind = Value::list;
    for (const json& item : j) v.items.push_back(converted(item, tensors));
  } else if (j.size() == 1 && j.contains("tensor")) {
    v.kind = Value::tensor, v.s = j["tensor"].get<std::string>();
    auto found = tensors.find(v.s);
    if (found != tensors.end()) v.t = found->second;
  } else if (j.size() == 1 && j.contains("dtype") && j["dtype"].is_string()) {
    v.kind = Value::dtype, v.s = j["dtype"].get<std::string>();
  } else if (j.size() == 1 && j.contains("float") && j["float"].is_string()) {
    v.kind = Value::number, v.d = special(j["float"].get<std::string>());
  } else if (j.size() == 1 && j.contains("slice")) {
    v = converted(j["slice"], tensors), v.kind = Value::slice;
  } else if (j.size() == 1 && j.contains("ellipsis")) {
    v.kind = Value::ellipsis;
  } else {
    v.kind = Value::dict;
    for (const auto& [key, item] : j.items()) v.entries.emplace(key, converted(item, tensors));
  }
  return v;
}

}  // namespace

const Value& Value::operator[](const std::string& key) const {
  static const Value absent;
  auto found = entries.find(key);
  return found == entries.end() ? absent : found->second;
}

Value parse(const std::string& line, const Tensors& tensors) {
  Value v;
  v.kind = Value::dict;
  // Names and keys of the line itself are no encoded values.
  json parsed = json::parse(line);
  for (const auto& [key, item] : parsed.items()) {
    if (item.is_object() && (key == "kwargs" || key == "ctor_kwargs" || key == "state" || key == "cotangents" || key == "grads" ||
                             key == "buffers_after")) {
      Value dict;
      dict.kind = Value::dict;
      for (const auto& [name, entry] : item.items()) dict.entries.emplace(name, converted(entry, tensors));
      v.entries.emplace(key, std::move(dict));
    } else {
      v.entries.emplace(key, converted(item, tensors));
    }
  }
  return v;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) lines.push_back(line);
  return lines;
}

std::string describe(const Value& v) {
  auto joined = [](const std::vector<Value>& items) {
    std::string text;
    for (const Value& item : items) text += (text.empty() ? "" : ", ") + describe(item);
    return text;
  };
  switch (v.kind) {
    case Value::missing: return "nothing";
    case Value::null: return "None";
    case Value::boolean: return v.b ? "True" : "False";
    case Value::integer: return std::to_string(v.i);
    case Value::number: return std::to_string(v.d);
    case Value::text: return "'" + v.s + "'";
    case Value::list: return "[" + joined(v.items) + "]";
    case Value::slice: return "slice(" + joined(v.items) + ")";
    case Value::ellipsis: return "...";
    case Value::dtype: return v.s;
    case Value::tensor: return v.t.defined() ? std::string(name(v.t.dtype())) + to_string(v.t.shape()) : "no tensor " + v.s;
    case Value::dict: break;
  }
  std::string text;
  for (const auto& [key, item] : v.entries) text += (text.empty() ? "" : ", ") + key + "=" + describe(item);
  return "{" + text + "}";
}

const Value& Arguments::at(int position, const char* name) const {
  static const Value absent;
  if (position >= 0 && position < count()) {
    positional_[size_t(position)].read = true;
    return positional_[size_t(position)];
  }
  auto found = name ? named_.find(name) : named_.end();
  if (found == named_.end()) return absent;
  found->second.read = true;
  return found->second;
}

void Arguments::fail(int position, const char* name, const char* wanted) const {
  const Value& v = at(position, name);
  std::string which = name ? name : "argument " + std::to_string(position);
  throw std::runtime_error("runner: " + which + " is " + describe(v) + ", not " + wanted);
}

AnyTensor Arguments::t(int position, const char* name) const {
  const Value& v = at(position, name);
  if (v.kind == Value::tensor && !v.t.defined()) throw LeftOut("tensor " + v.s + " has a dtype that Gradus does not have");
  if (v.kind != Value::tensor) fail(position, name, "a tensor");
  return v.t;
}
AnyTensor Arguments::maybe(int position, const char* name) const { return given(position, name) ? t(position, name) : AnyTensor(); }
Scalar Arguments::s(int position, const char* name) const {
  const Value& v = at(position, name);
  switch (v.kind) {
    case Value::boolean: return v.b;
    case Value::integer: return v.i;
    case Value::number: return v.d;
    case Value::tensor:
      if (v.t.defined() && v.t.numel() == 1) {
        if (is_float(v.t.dtype())) return v.t.item();
        return gradus::Tensor<int64_t>(v.t.to(DType::int64)).item();
      }
      [[fallthrough]];
    default: fail(position, name, "a number");
  }
}
Scalar Arguments::s(int position, const char* name, Scalar otherwise) const {
  return given(position, name) ? s(position, name) : otherwise;
}
std::string Arguments::str(int position, const char* name, const std::string& otherwise) const {
  if (!given(position, name)) return otherwise;
  const Value& v = at(position, name);
  if (v.kind != Value::text) fail(position, name, "a text");
  return v.s;
}
DType Arguments::dtype(int position, const char* name, DType otherwise) const {
  if (!given(position, name)) return otherwise;
  const Value& v = at(position, name);
  if (v.kind != Value::dtype) fail(position, name, "a dtype");
  for (int k = 0; k < gradus::kDTypes; ++k)
    if (v.s == gradus::name(DType(k))) return DType(k);
  throw LeftOut("dtype " + v.s + " is none of Gradus's");
}
Axes Arguments::axes(int position, const char* name) const {
  if (!given(position, name)) return {};
  return Axes(shape(position, name).vector());
}
Shape Arguments::shape(int position, const char* name) const {
  const Value& v = at(position, name);
  if (v.kind == Value::integer) return {v.i};
  if (v.kind == Value::tensor && v.t.defined() && v.t.dim() <= 1)
    return Shape(gradus::Tensor<int64_t>(v.t.to(DType::int64)).vector());
  if (v.kind != Value::list) fail(position, name, "sizes");
  Shape shape;
  for (const Value& item : v.items) {
    if (item.kind != Value::integer) fail(position, name, "sizes");
    shape.push_back(item.i);
  }
  return shape;
}
Shape Arguments::sizes(int position, const char* name, int rank, int64_t otherwise) const {
  Shape given_sizes = given(position, name) ? shape(position, name) : Shape{otherwise};
  if (given_sizes.rank == 0) given_sizes = {otherwise};
  if (given_sizes.rank == rank) return given_sizes;
  if (given_sizes.rank != 1) fail(position, name, "as many sizes as there are axes");
  Shape all;
  for (int d = 0; d < rank; ++d) all.push_back(given_sizes[0]);
  return all;
}
Shape Arguments::shape_from(int position, const char* name) const {
  if (at(position, name).kind != Value::integer || count() <= position + 1) return shape(position, name);
  Shape all;
  for (int k = position; k < count(); ++k) all.push_back(i(k));
  return all;
}
std::vector<AnyTensor> Arguments::list(int position, const char* name) const {
  const Value& v = at(position, name);
  if (v.kind != Value::list) fail(position, name, "a list of tensors");
  std::vector<AnyTensor> tensors;
  for (const Value& item : v.items) {
    if (item.kind != Value::tensor || !item.t.defined()) fail(position, name, "a list of tensors");
    tensors.push_back(item.t);
  }
  return tensors;
}
std::vector<AnyTensor> Arguments::rest(int position) const {
  if (is_list(position)) return list(position);
  std::vector<AnyTensor> tensors;
  for (int k = position; k < count(); ++k) tensors.push_back(t(k));
  return tensors;
}

std::string Arguments::unread() const {
  static const std::set<std::string> where_tensors_live = {"device", "layout", "pin_memory", "requires_grad", "memory_format"};
  for (size_t k = 0; k < positional_.size(); ++k)
    if (!positional_[k].read && positional_[k].given()) return "argument " + std::to_string(k) + " = " + describe(positional_[k]);
  for (const auto& [name, v] : named_)
    if (!v.read && v.given() && !where_tensors_live.count(name)) return name + " = " + describe(v);
  return "";
}

void make_leaves(Value& v, const std::string& path, const std::set<std::string>& wanted, std::map<std::string, AnyTensor>& leaves) {
  auto below = [&](const std::string& key) { return path.empty() ? key : path + "." + key; };
  if (v.kind == Value::tensor && v.t.defined() && wanted.count(path)) {
    v.t = v.t.clone().requires_grad_();
    leaves[path] = v.t;
  }
  for (size_t k = 0; k < v.items.size(); ++k) make_leaves(v.items[k], below(std::to_string(k)), wanted, leaves);
  for (auto& [key, item] : v.entries) make_leaves(item, below(key), wanted, leaves);
}

}  // namespace conformance
