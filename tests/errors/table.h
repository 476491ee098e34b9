// Wrong calls, each with the exception that it must raise and words that the message must hold: the op, the values, the way out.
#pragma once
#include <cstring>
#include <filesystem>
#include <typeinfo>

#include "tests/check.h"

namespace gradus::testing {

struct WrongCall {
  const char* what;
  std::function<void()> call;
  bool (*is_right_type)(const std::exception&);
  std::vector<const char*> words;
};
/// E itself: a base class of what is promised would hide that another kind of error came.
template <class E> bool is_a(const std::exception& e) { return typeid(e) == typeid(E); }

/// WRONG(ShapeError, add(x, y), "add", "[2, 3]")
#define WRONG(E, expression, ...)                                        \
  WrongCall {                                                            \
#expression, [=] { (void)(expression); }, is_a < E>, { __VA_ARGS__ } \
  }

/// Runs every call; after each, a sound one must still work. Messages begin with the first word, the op, but for those about files.
inline void run_table(const std::vector<WrongCall>& table, bool begins_with_op = true) {
  for (const WrongCall& wrong : table) {
    SCOPED_TRACE(wrong.what);
    EXPECT_GE(wrong.words.size(), 2u) << "the op alone is no message";
    for (const char* word : wrong.words) EXPECT_GE(std::strlen(word), 3u) << "'" << word << "' is in many a message by chance";
    try {
      wrong.call();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::exception& e) {
      EXPECT_TRUE(wrong.is_right_type(e)) << "another type of exception: " << e.what();
      if (begins_with_op) {
        EXPECT_EQ(std::string(e.what()).find(wrong.words[0]), 0u) << e.what() << " does not begin with " << wrong.words[0];
      }
      for (const char* word : wrong.words)
        EXPECT_NE(std::string(e.what()).find(word), std::string::npos) << "'" << word << "' is not in: " << e.what();
    }
    AnyTensor x = full({2}, 3, DType::float64).requires_grad_();
    (x * x).sum().backward();
    ASSERT_EQ(x.grad().sum().item(), 12) << "the process goes on";
  }
}
inline void run_table_of_files(const std::vector<WrongCall>& table) { run_table(table, false); }

}  // namespace gradus::testing
