// More wrong calls: joining and splitting, reordering, einsum, attention, embeddings, dropout, scans, graphs of functions that do not
// keep their promise, and folders that cannot be written to.
#include <fstream>

#include "tests/errors/arguments.h"
#include "tests/errors/table.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

using List = std::vector<AnyTensor>;

/// An empty folder of this test's own.
std::filesystem::path folder(const std::string& name) {
  std::filesystem::path path = std::filesystem::temp_directory_path() / ("gradus_more_errors_" + std::to_string(::getpid())) / name;
  std::filesystem::create_directories(path);
  return path;
}
/// A path whose parent is a file.
std::string below_a_file() {
  std::filesystem::path file = folder("parent") / "file";
  std::ofstream(file) << "x";
  return file / "net.safetensors";
}

}  // namespace

TEST(WrongCalls, JoiningAndSplitting) {
  const AnyTensor x = f({4, 6});
  run_table({
      WRONG(ValueError, cat(List{}), "cat", "empty list"),
      WRONG(ValueError, stack(List{}), "stack", "empty list"),
      WRONG(ShapeError, cat(List{f({2, 3}), f({2, 4})}), "cat", "[2, 3]", "[2, 4]", "joined"),
      WRONG(ShapeError, cat(List{x, x}, 2), "cat", "axis 2", "-2 to 1"),
      WRONG(ShapeError, cat(List{f({}), f({})}), "cat", "stack()"),
      WRONG(DTypeError, cat(List{f({2}), d({2})}), "cat", "float64", "to()"),
      WRONG(ValueError, cat(List{f({2}), kNone}), "cat", "undefined"),
      WRONG(ShapeError, stack(List{f({2}), f({3})}), "stack", "[2]", "[3]"),
      WRONG(ShapeError, stack(List{x, x}, 4), "stack", "axis 4"),
      WRONG(DTypeError, stack(List{f({2}), d({2})}), "stack", "float32 and float64", "to()"),
      WRONG(DTypeError, vstack(List{f({2}), d({2})}), "vstack", "float32 and float64", "to()"),
      WRONG(DTypeError, hstack(List{f({2}), d({2})}), "hstack", "float32 and float64", "to()"),
      WRONG(DTypeError, dstack(List{f({2}), d({2})}), "dstack", "float32 and float64", "to()"),
      WRONG(DTypeError, column_stack(List{f({2}), d({2})}), "column_stack", "float32 and float64", "to()"),
      WRONG(DTypeError, block_diag(List{f({2}), d({2})}), "block_diag", "float32 and float64", "to()"),
      WRONG(DTypeError, meshgrid(List{f({2}), d({2})}), "meshgrid", "float32 and float64", "to()"),
      WRONG(DTypeError, cartesian_prod(List{f({2}), d({2})}), "cartesian_prod", "float32 and float64", "to()"),
      WRONG(DTypeError, einsum("i,i", List{f({2}), d({2})}), "einsum", "float32 and float64", "to()"),
      WRONG(DTypeError, linalg::multi_dot(List{f({2, 2}), d({2, 2})}), "multi_dot", "float32 and float64", "to()"),
      WRONG(DTypeError, cat({x, integers({1})}), "cat", "float32 and int64", "to()"),
      WRONG(DTypeError, where(x > 0, x, d({4, 6})), "where", "float32 and float64", "to()"),
      WRONG(ValueError, hstack(List{}), "hstack", "empty list"),
      WRONG(ValueError, pad_sequence(List{}), "pad_sequence", "empty list"),
      WRONG(ShapeError, pad_sequence(List{f({2, 3}), f({2, 4})}), "pad_sequence", "[2, 3]", "[2, 4]", "axes than 0"),
      WRONG(ShapeError, pad_sequence(List{f({2, 3}), f({2})}), "pad_sequence", "[2, 3]", "[2]"),
      WRONG(ShapeError, pad_sequence(List{f({})}), "pad_sequence", "scalar", "stack()"),
      WRONG(DTypeError, pad_sequence(List{f({2}), d({2})}), "pad_sequence", "float32 and float64"),
      WRONG(ShapeError, vstack(List{f({2}), f({3})}), "vstack", "[1, 2]", "[1, 3]"),
      WRONG(ValueError, split(x, 0), "split", "parts of 0", "at least 1"),
      WRONG(ValueError, split(x, -2), "split", "parts of -2", "at least 1"),
      WRONG(ShapeError, split(x, 2, 2), "split", "axis 2", "-2 to 1"),
      WRONG(ShapeError, split(f({}), 1), "split", "scalar", "unsqueeze(0)"),
      WRONG(ValueError, chunk(x, 0), "chunk", "0 parts", "at least 1"),
      WRONG(ValueError, tensor_split(x, -1), "tensor_split", "-1 parts", "at least 1"),
  });
}

TEST(WrongCalls, ReorderingAndScanning) {
  const AnyTensor x = f({4, 6});
  run_table({
      WRONG(ShapeError, roll(x, 1, 2), "roll", "axis 2", "-2 to 1"),
      WRONG(ShapeError, flip(x, 2), "flip", "axis 2", "-2 to 1"),
      WRONG(ShapeError, flip(x, {0, -2}), "flip", "named twice"),
      WRONG(ShapeError, repeat(x, {2}), "repeat", "[2]", "[4, 6]", "tile()"),
      WRONG(ShapeError, repeat(x, {2, -1}), "repeat", "[2, -1]", "negative"),
      WRONG(ShapeError, repeat(x, {int64_t(1) << 40, int64_t(1) << 40}), "repeat", "counted"),
      WRONG(ValueError, topk(x, 7), "topk", "k is 7", "[4, 6]", "0 to 6"),
      WRONG(ValueError, topk(x, -1), "topk", "k is -1", "0 to 6"),
      WRONG(ShapeError, topk(x, 1, 2), "topk", "axis 2", "-2 to 1"),
      WRONG(ShapeError, sort(x, 2), "sort", "axis 2", "-2 to 1"),
      WRONG(ShapeError, argsort(x, -3), "argsort", "axis -3"),
      WRONG(ValueError, kthvalue(x, 0), "kthvalue", "k is 0", "counted from 1"),
      WRONG(ShapeError, cumsum(x, 2), "cumsum", "axis 2", "-2 to 1"),
      WRONG(ShapeError, cumprod(x, -3), "cumprod", "axis -3", "-2 to 1"),
      WRONG(ShapeError, cummax(x, 2), "cummax", "axis 2"),
      WRONG(ValueError, cumsum(kNone, 0), "cumsum", "undefined"),
      WRONG(DTypeError, pow(integers({2}), 0.5), "pow", "0.5", "int64", "to<float>()"),
      WRONG(ValueError, pow(integers({2}), -1), "pow", "int64", "to<float>()"),
      WRONG(ValueError, pow(integers({2}), integers({-1})), "pow", "below 0", "to<float>()"),
      WRONG(ValueError, 1 / integers({0}), "div", "by zero", "to<float>()"),
  });
}

TEST(WrongCalls, EinsumAttentionEmbeddingDropout) {
  const AnyTensor q = f({2, 4, 8});
  run_table({
      WRONG(ValueError, einsum("ij,jk->ik", List{f({2, 3})}), "einsum", "ij,jk->ik"),
      WRONG(ShapeError, einsum("ij,jk->ik", List{f({2, 3}), f({4, 5})}), "einsum", "j has sizes 3 and 4"),
      WRONG(ShapeError, einsum("ijk->i", List{f({2, 3})}), "einsum", "[2, 3]"),
      WRONG(ValueError, einsum("ij->ik", List{f({2, 3})}), "einsum", "ij->ik"),
      WRONG(ShapeError, scaled_dot_product_attention(q, f({2, 4, 7}), q), "scaled_dot_product_attention", "[2, 4, 7]"),
      WRONG(ShapeError, scaled_dot_product_attention(q, q, f({2, 3, 8})), "scaled_dot_product_attention", "[2, 3, 8]"),
      WRONG(DTypeError, scaled_dot_product_attention(q, q, d({2, 4, 8})), "scaled_dot_product_attention", "float64"),
      WRONG(ValueError, scaled_dot_product_attention(q, kNone, q), "scaled_dot_product_attention", "undefined"),
      WRONG(IndexError, embedding(integers({0, 9}), f({4, 3})), "embedding", "index 9", "size 4"),
      WRONG(IndexError, embedding(integers({-1}), f({4, 3})), "embedding", "index -1"),
      WRONG(DTypeError, embedding(f({2}), f({4, 3})), "embedding", "float32", "to<int64_t>()"),
      WRONG(ShapeError, embedding(integers({0}), f({4})), "embedding", "[4]", "2 dimensions"),
      WRONG(IndexError, embedding(integers({0}), f({4, 3}), {.padding_idx = 4}), "embedding", "padding_idx 4", "4 rows"),
      WRONG(ValueError, dropout(q, 1.5), "dropout", "1.5", "[0, 1]"),
      WRONG(ValueError, dropout(q, -0.1), "dropout", "-0.1", "[0, 1]"),
      WRONG(IndexError, one_hot(integers({0, 5}), 5), "one_hot", "index 5", "size 5"),
      WRONG(ValueError, one_hot(zeros({0}, DType::int64)), "one_hot", "empty", "pass it"),
      WRONG(DTypeError, one_hot(f({2}), 3), "one_hot", "float32", "to<int64_t>()"),
      WRONG(ShapeError, pad(f({2}), {1}), "pad", "two are needed"),
      WRONG(ShapeError, pad(f({2}), {1, 1, 1, 1}), "pad", "4 amounts"),
      WRONG(ShapeError, pad(f({1, 3}), {3, 0}, PadMode::reflect), "pad", "at most 2"),
  });
}

TEST(WrongCalls, FoldersThatCannotBeWrittenTo) {
  const std::string file = below_a_file(), directory = folder("target") / "net.safetensors";
  std::filesystem::create_directories(std::filesystem::path(directory) / "full");
  run_table_of_files({
      WRONG(IoError, save_tensors({{"one", draw({2})}}, file), "net.safetensors", "file"),
      WRONG(IoError, save_tensors({{"one", draw({2})}}, directory), "net.safetensors", "target"),
      WRONG(IoError, load_tensors(directory), "net.safetensors", "target"),
      WRONG(IoError, load_tensors(file), "net.safetensors", "file"),
  });
  EXPECT_TRUE(std::filesystem::is_directory(directory)) << "still there";
  EXPECT_TRUE(std::filesystem::is_regular_file(std::filesystem::path(file).parent_path()));
}
