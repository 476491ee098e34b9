// conformance FOLDER [--floor SUITE=N] [--suite NAME] [--device NAME] [--verbose GROUP|all]
//
// Runs recorded calls of another library's functions, modules, optimizers and schedulers against Gradus, forward and backward, and
// prints what passed, failed and is not implemented. Fails if anything that is implemented does, or fewer than N groups of a suite pass. With a
// device, arguments, parameters and results are there.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/conformance/suite.h"

int main(int argc, char** argv) {
  using namespace conformance;
  std::string folder, only, device = "cpu";
  std::vector<std::string> verbose;
  std::map<std::string, int> floors;
  for (int k = 1; k < argc; ++k) {
    std::string argument = argv[k];
    bool more = k + 1 < argc;
    if (argument == "--floor" && more) {
      std::string suite = argv[++k], number;
      if (size_t at = suite.find('='); at != std::string::npos) number = suite.substr(at + 1), suite.resize(at);
      if (std::atoi(number.c_str()) <= 0) {
        std::fprintf(stderr, "conformance: --floor wants SUITE=N, such as ops=520, not '%s'\n", argv[k]);
        return 2;
      }
      floors[suite] = std::atoi(number.c_str());
    } else if (argument == "--suite" && more) {
      only = argv[++k];
    } else if (argument == "--device" && more) {
      device = argv[++k];
    } else if (argument == "--verbose" && more) {
      verbose.push_back(argv[++k]);
    } else if (folder.empty() && argument[0] != '-') {
      folder = argument;
    } else {
      std::fprintf(stderr, "usage: conformance FOLDER [--floor SUITE=N] [--suite NAME] [--device NAME] [--verbose GROUP|all]\n");
      return 2;
    }
  }
  if (folder.empty() || lines_of(folder + "/ops.jsonl").empty()) {
    std::fprintf(stderr, "conformance: no recordings in '%s' (ops.jsonl)\n", folder.c_str());
    return 2;
  }
  try {
    gradus::set_default_device(device);
  } catch (const gradus::DeviceError& e) {
    std::fprintf(stderr, "conformance: %s\n", e.what());
    return 2;
  }
  bool good = true;
  auto run = [&](const char* name, const char* group, CaseResult (*run_case)(Value&), std::vector<std::string> notes = {}) {
    if (!only.empty() && only != name) return;
    Suite suite(name, group);
    suite.run(folder, run_case);
    for (std::string& note : notes) suite.note(std::move(note));
    suite.print(verbose);
    good = good && suite.failed() == 0;
    if (auto floor = floors.find(name); floor != floors.end() && suite.passed() < floor->second) {
      std::printf("%s: %d groups passed, fewer than %d\n", name, suite.passed(), floor->second);
      good = false;
    }
  };
  run("ops", "op", run_op, notes_on_ops());
  run("modules", "module", run_module);
  run("optimizers", "optimizer", run_optimizer);
  run("optimizers_more", "optimizer", run_optimizer);
  run("schedulers", "scheduler", run_scheduler);
  return good ? 0 : 1;
}
