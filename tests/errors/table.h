// Wrong calls, each with the exception that it must raise and words that the message must hold: the op, the values, the way out.
#pragma once
#include <filesystem>

#include "tests/check.h"

namespace gradus::testing {

struct WrongCall {
  const char* what;
  std::function<void()> call;
  bool (*is_right_type)(const std::exception&);
  std::vector<const char*> words;
};
template <class E> bool is_a(const std::exception& e) { return dynamic_cast<const E*>(&e) != nullptr; }

/// WRONG(ShapeError, add(x, y), "add", "[2, 3]")
#define WRONG(E, expression, ...)                                        \
  WrongCall {                                                            \
#expression, [=] { (void)(expression); }, is_a < E>, { __VA_ARGS__ } \
  }

/// Runs every call; after each, a sound one must still work.
inline void run_table(const std::vector<WrongCall>& table) {
  for (const WrongCall& wrong : table) {
    SCOPED_TRACE(wrong.what);
    try {
      wrong.call();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::exception& e) {
      EXPECT_TRUE(wrong.is_right_type(e)) << "another type of exception: " << e.what();
      for (const char* word : wrong.words)
        EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << "'" << word << "' is not in: " << e.what();
    }
    AnyTensor x = full({2}, 3, DType::float64).requires_grad_();
    (x * x).sum().backward();
    ASSERT_EQ(x.grad().sum().item(), 12) << "the process goes on";
  }
}

}  // namespace gradus::testing
