// What the examples share: options of the command line.
#pragma once
#include <cstdio>
#include <cstdlib>

#include "gradus/gradus.h"

namespace gradus {

/// A name and the variable that gets its value; a bool has no value and becomes true.
struct Option {
  Option(const char* name, std::string& to) : name(name), text(&to) {}
  Option(const char* name, int& to, int least) : name(name), integer(&to), least(least) {}
  Option(const char* name, double& to) : name(name), real(&to) {}
  Option(const char* name, bool& to) : name(name), flag(&to) {}
  const char* name;
  std::string* text = nullptr;
  int* integer = nullptr;
  double* real = nullptr;
  bool* flag = nullptr;
  int least = 0;

  void set(const char* value) const {
    auto refuse = [&](const std::string& wanted) { throw ValueError(std::string(name) + " " + value + ": not a number" + wanted); };
    char* end = nullptr;
    if (text) *text = value;
    if (real && ((*real = std::strtod(value, &end)), *end || end == value || !(*real >= 0))) refuse(", at least 0");
    if (!integer) return;
    const long number = std::strtol(value, &end, 10);
    if (*end || end == value || number < least || number > 1 << 30) refuse(" from " + std::to_string(least) + " on");
    *integer = int(number);
  }
};

/// Reads the command line into options. `usage` begins with the program's name; --help prints it. Throws ValueError.
inline void read_options(int argc, char** argv, const std::string& usage, std::initializer_list<Option> options) {
  const std::string help = "; " + usage.substr(0, usage.find(' ')) + " --help tells ";
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--help") {
      std::printf("%s\n", usage.c_str());
      std::exit(0);
    }
    const Option* found = nullptr;
    for (const Option& option : options)
      if (name == option.name) found = &option;
    if (!found) throw ValueError("there is no " + name + help + "what there is");
    if (found->flag)
      *found->flag = true;
    else if (++i < argc)
      found->set(argv[i]);
    else
      throw ValueError(name + " needs a value" + help + "more");
  }
}

/// The body of main(): what it throws is printed, and the program ends with 1.
template <class F> int run_example(const char* program, F body) {
  try {
    return body();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", program, e.what());
    return 1;
  }
}

}  // namespace gradus
