#include "src/io/safetensors_header.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "src/core/message.h"

namespace gradus::io {
namespace {

struct DTypeName {
  const char* text;
  DType dtype;
};
constexpr DTypeName kDTypeNames[] = {
    {"F64", DType::float64}, {"F32", DType::float32}, {"F16", DType::float16}, {"BF16", DType::bfloat16}, {"I64", DType::int64},
    {"I32", DType::int32},   {"I16", DType::int16},   {"I8", DType::int8},     {"U8", DType::uint8},      {"BOOL", DType::boolean}};

/// Takes the JSON as it is read, piece by piece: only what the format allows is accepted, keys may not repeat, and no tree is built.
class Reader {
 public:
  using number_integer_t = int64_t;
  using number_unsigned_t = uint64_t;
  using number_float_t = double;
  using string_t = std::string;
  using binary_t = nlohmann::json::binary_t;

  Header header;
  std::string problem;

  bool start_object(size_t) {
    if (place_ == Place::outside) return to(Place::file);
    if (place_ == Place::value && key_ == "__metadata__") return to(Place::metadata);
    if (place_ == Place::value) {
      entry_ = Entry();
      entry_.name = key_;
      has_dtype_ = false, shape_.reset(), offsets_.reset();
      return to(Place::tensor);
    }
    return wrong("an object");
  }
  bool end_object() {
    if (place_ == Place::tensor) {
      if (!has_dtype_) return refuse("tensor \"" + key_ + "\" has no dtype");
      if (!shape_) return refuse("tensor \"" + key_ + "\" has no shape");
      if (!offsets_) return refuse("tensor \"" + key_ + "\" has no data_offsets");
      if (offsets_->size() != 2)
        return refuse("tensor \"" + key_ + "\" has " + std::to_string(offsets_->size()) + " data_offsets, not 2");
      if (shape_->size() > size_t(Shape::kMaxRank))
        return refuse("tensor \"" + key_ + "\" has " + std::to_string(shape_->size()) + " axes; at most " +
                      std::to_string(Shape::kMaxRank) + " are supported");
      for (uint64_t n : *shape_) {
        if (n > uint64_t(INT64_MAX)) return refuse("tensor \"" + key_ + "\" has a size of " + std::to_string(n));
        entry_.shape.push_back(int64_t(n));
      }
      entry_.begin = (*offsets_)[0], entry_.end = (*offsets_)[1];
      header.entries.push_back(std::move(entry_));
    }
    place_ = place_ == Place::file ? Place::outside : Place::file;
    return true;
  }
  bool key(std::string& k) {
    if (place_ == Place::file) {
      if (!keys_.insert(k).second) return refuse("\"" + k + "\" stands there twice");
      key_ = k;
      return to(Place::value);
    }
    if (place_ == Place::metadata) {
      for (auto& [name, text] : header.metadata)
        if (name == k) return refuse("metadata \"" + k + "\" stands there twice");
      header.metadata.emplace_back(k, "");
      return to(Place::metadata_value);
    }
    field_ = k;
    if (k != "dtype" && k != "shape" && k != "data_offsets")
      return refuse("tensor \"" + key_ + "\" has an unknown field \"" + k + "\"");
    if ((k == "dtype" && has_dtype_) || (k == "shape" && shape_) || (k == "data_offsets" && offsets_))
      return refuse("tensor \"" + key_ + "\" says its " + k + " twice");
    return to(Place::field);
  }
  bool string(std::string& text) {
    if (place_ == Place::metadata_value) {
      header.metadata.back().second = text;
      return to(Place::metadata);
    }
    if (place_ != Place::field || field_ != "dtype") return wrong("a string");
    auto known = std::find_if(std::begin(kDTypeNames), std::end(kDTypeNames), [&](const DTypeName& d) { return text == d.text; });
    if (known == std::end(kDTypeNames))
      return refuse("tensor \"" + key_ + "\" is of dtype " + text +
                    ", which is not supported (F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL are)");
    entry_.dtype = known->dtype, has_dtype_ = true;
    return to(Place::tensor);
  }
  bool start_array(size_t) {
    if (place_ != Place::field || field_ == "dtype") return wrong("a list");
    (field_ == "shape" ? shape_ : offsets_).emplace();
    return to(Place::list);
  }
  bool end_array() { return to(Place::tensor); }
  bool number_unsigned(uint64_t n) {
    if (place_ != Place::list) return wrong("a number");
    auto& list = *(field_ == "shape" ? shape_ : offsets_);
    if (list.size() >= 64) return refuse("tensor \"" + key_ + "\" has a " + field_ + " of more than 64 numbers");
    list.push_back(n);
    return true;
  }
  bool number_integer(int64_t n) { return wrong("the number " + std::to_string(n)); }
  bool number_float(double, const std::string& text) { return wrong("the number " + text); }
  bool null() { return wrong("null"); }
  bool boolean(bool) { return wrong("a bool"); }
  bool binary(binary_t&) { return wrong("binary data"); }
  bool parse_error(size_t at, const std::string&, const nlohmann::json::exception& e) {
    std::string what = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 9: ..."
    size_t from = what.find(": ");
    return refuse("the header is not valid JSON at byte " + std::to_string(at) + (from == what.npos ? "" : what.substr(from)));
  }

 private:
  enum class Place { outside, file, value, tensor, field, list, metadata, metadata_value };
  bool to(Place place) {
    place_ = place;
    return true;
  }
  bool refuse(std::string text) {
    if (problem.empty()) problem = std::move(text);
    return false;
  }
  bool wrong(const std::string& what) {
    switch (place_) {
      case Place::outside: return refuse("the header is " + what + ", not an object");
      case Place::metadata_value: return refuse("metadata \"" + header.metadata.back().first + "\" is " + what + ", not a string");
      case Place::value: return refuse("\"" + key_ + "\" is " + what + ", not an object");
      default: return refuse("tensor \"" + key_ + "\" has " + what + " where its " + field_ + " should be");
    }
  }

  Place place_ = Place::outside;
  std::string key_, field_;
  std::unordered_set<std::string> keys_;
  Entry entry_;
  bool has_dtype_ = false;
  std::optional<std::vector<uint64_t>> shape_, offsets_;
};

/// The bytes that a tensor must have, or nothing where the product does not fit.
std::optional<uint64_t> bytes_of(const Entry& e) {
  uint64_t bytes = item_size(e.dtype);
  bool empty = false;
  for (int64_t n : e.shape) empty = empty || n == 0;
  for (int64_t n : e.shape)
    if (n != 0 && __builtin_mul_overflow(bytes, uint64_t(n), &bytes)) return {};
  if (bytes > uint64_t(INT64_MAX)) return {};
  return empty ? 0 : bytes;
}

std::string quoted(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail<ValueError>("save_tensors: a name or a piece of metadata is not valid UTF-8: ", text);
  }
}

}  // namespace

Header parse_header(const char* json, size_t length, uint64_t data_bytes, const std::string& file) {
  Reader reader;
  bool good = nlohmann::json::sax_parse(json, json + length, &reader);
  if (!good || !reader.problem.empty())
    fail<IoError>(file, ": ", reader.problem.empty() ? "the header is not valid JSON" : reader.problem);
  Header header = std::move(reader.header);
  // Tensors without elements take no place: they come before the one that begins where they stand.
  std::stable_sort(header.entries.begin(), header.entries.end(),
                   [](const Entry& a, const Entry& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  uint64_t reached = 0;
  for (const Entry& e : header.entries) {
    auto at = [&] { return file + ": tensor \"" + e.name + "\""; };
    if (e.end < e.begin) fail<IoError>(at(), " ends at byte ", e.end, ", before its begin at ", e.begin);
    if (e.end > data_bytes)
      fail<IoError>(at(), " ends at byte ", e.end, " of ", data_bytes, "; the file is cut off, or its header lies");
    std::optional<uint64_t> bytes = bytes_of(e);
    if (!bytes) fail<IoError>(at(), " of shape ", e.shape, " is larger than any memory");
    if (*bytes != e.end - e.begin)
      fail<IoError>(at(), " of shape ", e.shape, " and ", e.dtype, " takes ", *bytes, " bytes, but its place has ",
                    e.end - e.begin);
    if (e.begin < reached) fail<IoError>(at(), " overlaps another: it begins at byte ", e.begin, ", before ", reached);
    if (e.begin > reached)
      fail<IoError>(at(), " begins at byte ", e.begin, "; bytes ", reached, " to ", e.begin, " belong to no tensor");
    reached = e.end;
  }
  if (reached != data_bytes) fail<IoError>(file, ": ", data_bytes - reached, " bytes behind the last tensor belong to none");
  return header;
}

std::string format_header(const NamedTensors& tensors, const Metadata& metadata, std::vector<size_t>& order) {
  order.resize(tensors.size());
  std::unordered_set<std::string> names;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const NamedTensor& t = tensors[i];
    order[i] = i;
    if (!t.tensor.defined()) fail<ValueError>("save_tensors: \"", t.name, "\" is undefined");
    if (t.name == "__metadata__") fail<ValueError>("save_tensors: the name __metadata__ is the format's own");
    if (!names.insert(t.name).second) fail<ValueError>("save_tensors: two tensors are named \"", t.name, "\"");
  }
  // Large items first, so that every tensor is aligned to its own; then by name, so that equal contents give equal files.
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    size_t p = item_size(tensors[a].tensor.dtype()), q = item_size(tensors[b].tensor.dtype());
    return p != q ? p > q : tensors[a].name < tensors[b].name;
  });
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    std::unordered_set<std::string> keys;
    for (auto& [key, text] : metadata) {
      if (!keys.insert(key).second) fail<ValueError>("save_tensors: metadata \"", key, "\" is given twice");
      json += (json.back() == '{' ? "" : ",") + quoted(key) + ":" + quoted(text);
    }
    json += "}";
  }
  uint64_t at = 0;
  for (size_t i : order) {
    const AnyTensor& x = tensors[i].tensor;
    auto known =
        std::find_if(std::begin(kDTypeNames), std::end(kDTypeNames), [&](const DTypeName& d) { return x.dtype() == d.dtype; });
    uint64_t bytes = uint64_t(x.numel()) * item_size(x.dtype());
    json += (json.back() == '{' ? "" : ",") + quoted(tensors[i].name) + ":{\"dtype\":\"" + known->text + "\",\"shape\":[";
    for (int d = 0; d < x.dim(); ++d) json += (d ? "," : "") + std::to_string(x.shape()[d]);
    json += "],\"data_offsets\":[" + std::to_string(at) + "," + std::to_string(at + bytes) + "]}";
    at += bytes;
  }
  json += "}";
  json.append((kLengthBytes - json.size() % kLengthBytes) % kLengthBytes, ' ');
  if (json.size() > kLongestHeader)
    fail<ValueError>("save_tensors: the header has ", json.size(), " bytes, the format allows ", kLongestHeader);
  uint64_t length = json.size();
  std::string header(kLengthBytes, '\0');
  std::memcpy(header.data(), &length, kLengthBytes);
  return header + json;
}

}  // namespace gradus::io
