// What the examples share: options of the command line.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>

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
};

[[noreturn]] inline void refuse_option(std::initializer_list<const char*> parts) {
  std::string message;
  for (const char* part : parts) message += part;
  throw ValueError(message);
}

inline void set_option(const Option& option, const char* value) {
  char* end = nullptr;
  if (option.text) {
    *option.text = value;
  } else if (option.real) {
    *option.real = std::strtod(value, &end);
    if (*end || end == value || !(*option.real >= 0)) refuse_option({option.name, " ", value, ": not a number, at least 0"});
  } else {
    const long number = std::strtol(value, &end, 10);
    if (*end || end == value || number < option.least || number > 1 << 30)
      refuse_option({option.name, " ", value, ": not a number from ", std::to_string(option.least).c_str(), " on"});
    *option.integer = int(number);
  }
}

/// Reads the command line into options; --help prints `usage`. Throws ValueError.
inline void read_options(const char* program, int argc, char** argv, const char* usage, std::initializer_list<Option> options) {
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--help")) {
      std::printf("%s %s\n", program, usage);
      std::exit(0);
    }
    const Option* found = nullptr;
    for (const Option& option : options)
      if (!std::strcmp(argv[i], option.name)) found = &option;
    if (!found) refuse_option({"there is no ", argv[i], "; ", program, " --help tells what there is"});
    if (found->flag) {
      *found->flag = true;
    } else {
      if (i + 1 == argc) refuse_option({argv[i], " needs a value; ", program, " --help tells more"});
      set_option(*found, argv[++i]);
    }
  }
}

/// f for the type of activations that --precision names. Throws ValueError.
template <class F> void with_precision(const std::string& name, F f) {
  if (name == "float") return f.template operator()<float>();
  if (name == "bfloat16") return f.template operator()<bfloat16>();
  if (name == "half") return f.template operator()<half>();
  refuse_option({"--precision ", name.c_str(), ": choose float, bfloat16 or half"});
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
