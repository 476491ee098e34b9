// One argument of a recorded call, as the JSON has it: numbers, lists, tensors by their key in the safetensors file.
#pragma once
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "gradus/gradus.h"

namespace conformance {

using gradus::AnyTensor;
using gradus::Axes;
using gradus::DType;
using gradus::Scalar;
using gradus::Shape;

using Tensors = std::map<std::string, AnyTensor>;

struct Value {
  enum Kind { missing, null, boolean, integer, number, text, list, dict, tensor, slice, ellipsis, dtype };
  Kind kind = missing;
  bool b = false;
  int64_t i = 0;
  double d = 0;
  std::string s;             // text, the name of a dtype, the key of a tensor
  std::vector<Value> items;  // of a list; start, stop and step of a slice
  std::map<std::string, Value> entries;
  AnyTensor t;
  mutable bool read = false;

  bool given() const { return kind != missing && kind != null; }
  bool is_number() const { return kind == integer || kind == number || kind == boolean; }
  const Value& operator[](const std::string& key) const;  // of a dict; missing where it is not there
};

/// A line of a suite. Tensors are looked up in `tensors`; throws std::runtime_error for what cannot be understood.
Value parse(const std::string& line, const Tensors& tensors);
/// The lines of a file; empty where there is no file.
std::vector<std::string> lines_of(const std::string& path);
std::string describe(const Value&);

/// Thrown by an entry for a case that is left out on purpose.
struct LeftOut : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The arguments of a call, by position or by the name that they have among the keywords. What nobody has read is an error: an
/// argument that the library has no answer to must not pass in silence.
class Arguments {
 public:
  Arguments(std::vector<Value> positional, std::map<std::string, Value> named)
      : positional_(std::move(positional)), named_(std::move(named)) {}

  const Value& at(int position, const char* name = nullptr) const;
  int count() const { return int(positional_.size()); }
  bool given(int position, const char* name = nullptr) const { return at(position, name).given(); }
  bool is_tensor(int position, const char* name = nullptr) const { return at(position, name).kind == Value::tensor; }
  bool is_list(int position, const char* name = nullptr) const { return at(position, name).kind == Value::list; }

  AnyTensor operator[](int position) const { return t(position); }
  AnyTensor t(int position, const char* name = nullptr) const;      // a tensor
  AnyTensor maybe(int position, const char* name = nullptr) const;  // undefined where it is absent or null
  Scalar s(int position, const char* name, Scalar otherwise) const;
  Scalar s(int position, const char* name = nullptr) const;
  double d(int position, const char* name, double otherwise) const { return s(position, name, otherwise); }
  int64_t i(int position, const char* name, int64_t otherwise) const { return s(position, name, otherwise).to<int64_t>(); }
  int64_t i(int position, const char* name = nullptr) const { return s(position, name).to<int64_t>(); }
  bool b(int position, const char* name, bool otherwise) const { return s(position, name, otherwise).to<bool>(); }
  std::string str(int position, const char* name, const std::string& otherwise) const;
  DType dtype(int position, const char* name, DType otherwise) const;
  Axes axes(int position, const char* name = "dim") const;      // absent or null: all
  Shape shape(int position, const char* name = nullptr) const;  // of a list, or of one number
  /// `rank` sizes from a list of as many, or from one number for all; `otherwise` for all where absent.
  Shape sizes(int position, const char* name, int rank, int64_t otherwise) const;
  /// The sizes from a list, or from all the positions from here on.
  Shape shape_from(int position, const char* name = nullptr) const;
  std::vector<AnyTensor> list(int position, const char* name = nullptr) const;  // a list of tensors
  std::vector<AnyTensor> rest(int position) const;  // the tensors from here on, or those of the list that stands here

  /// The first argument that was not read and says something; empty if there is none.
  std::string unread() const;
  [[noreturn]] void fail(int position, const char* name, const char* wanted) const;

 private:
  std::vector<Value> positional_;
  std::map<std::string, Value> named_;
};

/// Wherever `root` holds a tensor whose path (root's own first: "args.0", "state.weight") is among `wanted`, makes it a leaf that
/// requires a gradient, and lists it.
void make_leaves(Value& root, const std::string& path, const std::set<std::string>& wanted,
                 std::map<std::string, AnyTensor>& leaves);

}  // namespace conformance
