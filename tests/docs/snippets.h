// What the snippets of the documentation stand in.
#pragma once
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <thread>

#include "gradus/gradus.h"

#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"

using namespace gradus;

namespace {

/// The text without spaces at the ends of its lines and empty lines at its end: what a reader sees.
inline std::string trimmed(std::string text) {
  for (size_t at; (at = text.find(" \n")) != std::string::npos;) text.erase(at, 1);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

/// What is printed while one lives, up to text().
class Printed {
 public:
  Printed() { testing::internal::CaptureStdout(); }
  ~Printed() {
    if (!taken_) text();  // an exception came by
  }
  std::string text() {
    taken_ = true;
    return trimmed(testing::internal::GetCapturedStdout());
  }

 private:
  bool taken_ = false;
};

/// Snippets write files into a folder that goes with the test.
class Folder {
 public:
  Folder() : before_(std::filesystem::current_path()) {
    std::string name = (std::filesystem::temp_directory_path() / "gradus-docs-XXXXXX").string();
    path_ = mkdtemp(name.data());
    std::filesystem::current_path(path_);
  }
  ~Folder() {
    std::filesystem::current_path(before_);
    std::filesystem::remove_all(path_);
  }

 private:
  std::filesystem::path before_, path_;
};

}  // namespace
