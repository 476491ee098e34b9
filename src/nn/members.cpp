// Lists of members: their names, the walk over them, and how one that is missing from a list is found.
#include <map>
#include <mutex>
#include <string_view>

#include "gradus/nn/module.h"

namespace gradus::nn {

void Member::visit_parameter(const void* p, Visitor& visitor, const std::string& name) {
  auto& parameter = *static_cast<Parameter*>(const_cast<void*>(p));
  if (parameter.defined()) visitor.parameter(name, parameter);
}
void Member::visit_buffer(const void* b, Visitor& visitor, const std::string& name) {
  auto& buffer = *static_cast<Buffer*>(const_cast<void*>(b));
  if (buffer.defined()) visitor.buffer(name, buffer);
}
void Member::walk(Module& module, Visitor& visitor, const std::string& name) { module.visit(visitor, name + "."); }

namespace detail {
namespace {

/// Where every living parameter, buffer and module is. Never destroyed: static modules go late.
struct Registry {
  std::mutex mutex;
  std::map<const char*, Tracked> living;
};
Registry& registry() {
  static auto* r = new Registry;
  return *r;
}

/// Cuts the text of a list at commas that stand outside of parentheses: "conv1, nn::named("0", first)".
std::string_view next_name(std::string_view& text) {
  int depth = 0;
  size_t end = 0;
  for (; end < text.size() && (depth > 0 || text[end] != ','); ++end) {
    if (std::string_view("([{<").find(text[end]) != std::string_view::npos) ++depth;
    if (std::string_view(")]}>").find(text[end]) != std::string_view::npos && !(end > 0 && text[end - 1] == '-')) --depth;
  }
  std::string_view name = text.substr(0, end);
  text.remove_prefix(end < text.size() ? end + 1 : end);
  while (!name.empty() && (name.front() == ' ' || name.front() == '\n')) name.remove_prefix(1);
  while (!name.empty() && (name.back() == ' ' || name.back() == '\n')) name.remove_suffix(1);
  if (name.starts_with("this->")) name.remove_prefix(6);
  return name;
}

/// Throws for a parameter, buffer or module inside of `module` that no member covers.
void check_list(Module& module, const char* begin, size_t bytes, const char* names, const Member* members, size_t count) {
  auto* self = reinterpret_cast<const char*>(&module);
  const char* lost = nullptr;
  Tracked what{};
  {
    std::lock_guard lock(registry().mutex);
    auto& living = registry().living;
    for (auto it = living.lower_bound(begin); it != living.end() && it->first < begin + bytes && !lost; ++it) {
      bool covered = it->first == self;
      for (size_t i = 1; i < count && !covered; ++i) {
        auto* start = static_cast<const char*>(members[i].address);
        covered = it->first >= start && it->first < start + members[i].size;
      }
      if (!covered) lost = it->first, what = it->second;
    }
  }
  if (!lost) return;
  std::string thing;
  if (what == Tracked::module) {
    thing = "a " + type_name(*reinterpret_cast<const Module*>(lost));
  } else {
    auto* tensor = what == Tracked::parameter ? static_cast<const Held*>(reinterpret_cast<const Parameter*>(lost))
                                              : static_cast<const Held*>(reinterpret_cast<const Buffer*>(lost));
    thing = what == Tracked::parameter ? "a Parameter" : "a Buffer";
    if (tensor->defined()) thing += " of shape " + to_string(tensor->shape());
  }
  std::string_view rest = names, before, after;
  for (size_t i = 1; i < count; ++i) {
    std::string_view name = next_name(rest);
    auto* start = static_cast<const char*>(members[i].address);
    if (start < begin || start >= begin + bytes) continue;
    if (start < lost) before = name;
    if (start > lost && after.empty()) after = name;
  }
  std::string place;
  if (!before.empty()) place += " behind `" + std::string(before) + "`";
  if (!after.empty()) place += (place.empty() ? " before `" : " and before `") + std::string(after) + "`";
  throw ValueError("GRADUS_MEMBERS of " + type_name(module) + " leaves out " + thing + place +
                   "; list every parameter, buffer and module");
}

}  // namespace

void track(const void* address, Tracked what) noexcept {
  std::lock_guard lock(registry().mutex);
  registry().living.insert_or_assign(static_cast<const char*>(address), what);
}
void untrack(const void* address) noexcept {
  std::lock_guard lock(registry().mutex);
  registry().living.erase(static_cast<const char*>(address));
}

void visit_list(Module& module, const void* whole, size_t bytes, bool check, const char* names, const Member* members, size_t count,
                Visitor& visitor, const std::string& prefix) {
  if (check) check_list(module, static_cast<const char*>(whole), bytes, names, members, count);
  std::string_view rest = names;
  for (size_t i = 1; i < count; ++i) {
    std::string_view name = next_name(rest);
    members[i].visit(members[i].address, visitor, prefix + (members[i].name ? members[i].name : std::string(name)));
  }
}

}  // namespace detail
}  // namespace gradus::nn
