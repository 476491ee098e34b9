// Wrong calls on what has state: graphs, modules, optimizers, loaders, files.
#include <fstream>

#include "tests/errors/table.h"

using namespace gradus;
using namespace gradus::testing;

namespace {

AnyTensor leaf() { return draw({3}).requires_grad_(); }

/// A file with these bytes in a folder of its own.
std::string file_of(const std::string& bytes, const std::string& name = "file") {
  std::string folder = std::filesystem::temp_directory_path() / ("gradus_errors_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/" + name, std::ios::binary) << bytes;
  return folder + "/" + name;
}
std::string tensors(const std::string& header, const std::string& bytes = "") {
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i) length[i] = char(uint64_t(header.size()) >> (8 * i) & 255);
  return file_of(length + header + bytes, "x.safetensors");
}
/// Writes to a tensor that its graph reads, then walks the graph.
void walk_after_write() {
  AnyTensor x = leaf(), w = draw({3}), y = (x * w).sum();
  w.fill_(1);
  y.backward();
}
void walk_twice() {
  AnyTensor y = exp(leaf()).sum();
  y.backward();
  y.backward();
}
/// A folder with this test_batch.bin.
std::string cifar(const std::string& folder, const std::string& bytes) {
  const std::filesystem::path parent = std::filesystem::path(file_of("", "cifar")).parent_path() / ("cifar_" + folder);
  std::filesystem::create_directories(parent);
  std::ofstream(parent / "test_batch.bin", std::ios::binary) << bytes;
  return parent;
}
std::string idx(std::initializer_list<int> bytes) {
  std::string text;
  for (int b : bytes) text += char(b);
  return text;
}

}  // namespace

TEST(WrongCalls, Graphs) {
  run_table({
      WRONG(ShapeError, (leaf() * 2).backward(), "backward", "[3]", "sum()"),
      WRONG(GraphError, draw({1}).backward(), "backward", "does not depend"),
      WRONG(ShapeError, (leaf() * 2).backward(draw({2})), "backward", "[2]", "[3]"),
      WRONG(DTypeError, (leaf() * 2).backward(zeros({3}, DType::float32)), "backward", "float32"),
      WRONG(GraphError, walk_twice(), "sum", "retain_graph"),
      WRONG(GraphError, walk_after_write(), "mul", "written in place", "clone()"),
      WRONG(GraphError, grad({leaf().sum()}, {leaf()}), "grad", "input 0", "allow_unused"),
      WRONG(GraphError, grad({leaf().sum()}, {draw({2})}), "grad", "requires_grad_()"),
      WRONG(ValueError, backward({}), "backward", "no outputs"),
      WRONG(ValueError, backward({leaf().sum()}, {draw({}), draw({})}), "backward", "2 cotangents"),
      WRONG(DTypeError, zeros({2}, DType::int64).requires_grad_(), "requires_grad_", "int64"),
      WRONG(GraphError, (leaf() * 2).requires_grad_(false), "requires_grad_", "detach()"),
      WRONG(GraphError, leaf().mul_(2.0), "mul", "NoGrad"),
      WRONG(GraphError, leaf().fill_(0), "fill_", "NoGrad"),
      WRONG(GraphError, leaf().copy_(draw({3})), "copy_", "NoGrad"),
      WRONG(GraphError, (leaf() * 2).grad(), "grad", "retain_grad()"),
      WRONG(ShapeError, leaf().set_grad(draw({2})), "set_grad", "[2]"),
      WRONG(GraphError, draw({2}).set_grad(draw({2})), "set_grad", "call requires_grad_() first"),
      WRONG(GraphError, draw({2}).retain_grad(), "retain_grad", "call requires_grad_() on"),
      WRONG(GraphError, register_hook(draw({2}), {}), "register_hook", "call requires_grad_() on"),
      WRONG(GraphError, register_post_accumulate_hook(leaf() * 2, {}), "register_post_accumulate_hook", "leaf"),
  });
}

TEST(WrongCalls, ModulesAndOptimizers) {
  AnyTensor p = leaf();
  run_table({
      WRONG(ShapeError, nn::Linear(3, 4)(zeros<float>({2, 5})), "linear", "[2, 5]"),
      WRONG(ValueError, nn::Linear(-3, 4), "Linear", "in is -3", "at least 1"),
      WRONG(ValueError, nn::Conv2d({.in = 3, .out = 4, .kernel = 3, .groups = 2}), "Conv2d", "groups = 2"),
      WRONG(ValueError, optim::SGD({p}, {.lr = -1}), "SGD: lr is", "-1.000000;"),
      WRONG(ValueError, optim::SGD(std::vector<AnyTensor>{}, {.lr = 1}), "SGD", "is the module's"),
      WRONG(ValueError, optim::Adam({p}, {.lr = -1}), "Adam: lr is", "it must be"),
      WRONG(ValueError, optim::SGD({p}, {.lr = 1, .nesterov = true}), "SGD", "nesterov needs a momentum"),
  });
}

TEST(WrongCalls, TensorFiles) {
  const std::string one = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string eight(8, '\0');
  auto net = std::make_shared<nn::Linear>(2, 2);
  run_table_of_files({
      WRONG(IoError, load_tensors("/nowhere/x.safetensors"), "/nowhere/x.safetensors", "cannot be opened:"),
      WRONG(IoError, load_tensors(file_of("abc")), "file", "a safetensors file"),
      WRONG(IoError, load_tensors(file_of(std::string(8, '\xff'))), "file", "not a safetensors"),
      WRONG(IoError, load_tensors(tensors("not json")), "x.safetensors", "not valid JSON"),
      WRONG(IoError, load_tensors(tensors("[]")), "x.safetensors", "the header is"),
      WRONG(IoError, load_tensors(tensors(one)), "tensor \"a\"", "the file is"),
      WRONG(IoError, load_tensors(tensors(one, eight + "x")), "x.safetensors", "1 bytes behind"),
      WRONG(IoError, load_tensors(tensors(R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", eight)), "tensor \"a\"",
            "F99"),
      WRONG(IoError, load_tensors(tensors(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", eight)), "tensor \"a\" of",
            "x.safetensors"),
      WRONG(IoError, load_tensors(tensors(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", eight)), "tensor \"a\" has",
            "x.safetensors"),
      WRONG(IoError, load_tensors(tensors(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}})", eight)),
            "tensor \"a\" of", "x.safetensors"),
      WRONG(IoError, load_tensors(tensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", eight)), "tensor \"a\" ends",
            "x.safetensors"),
      WRONG(IoError, load_tensors(tensors(R"({"a":{"dtype":"F32","shape":[2]}})", eight)), "tensor \"a\" has", "x.safetensors"),
      WRONG(IoError, load(*net, tensors(one, eight)), "unexpected a", "pass strict ="),
      WRONG(IoError, save(*net, "/nowhere/net.safetensors"), "/nowhere/net.safetensors", "cannot be written:"),
      WRONG(ValueError, save_tensors({{"a", draw({2})}, {"a", draw({2})}}, file_of("", "twice")), "save_tensors", "named \"a\""),
  });
}

TEST(WrongCalls, ImageFilesAndLoaders) {
  std::string empty_folder = std::filesystem::path(file_of("", "mnist")).parent_path() / "none";
  run_table_of_files({
      WRONG(IoError, data::Mnist("/nowhere", data::train), "/nowhere", "did you mean"),
      WRONG(IoError, data::Mnist(empty_folder, data::test), "t10k", "did you mean"),
      WRONG(IoError, data::Cifar10("/nowhere", data::train), "Cifar10", "/nowhere/data_batch_1.bin", "cifar-10-binary.tar.gz"),
      WRONG(IoError, data::Cifar10(cifar("cut", "cut off"), data::test), "test_batch.bin", "7 bytes", "3073"),
      WRONG(IoError, data::Cifar10(cifar("none", ""), data::test), "test_batch.bin", "empty"),
      WRONG(IoError, data::Cifar10(cifar("lying", std::string(3073, 'x')), data::test), "image 0", "class 120"),
      WRONG(IoError, data::read_idx(file_of("", "empty.idx")), "empty.idx", "it ends within"),
      WRONG(IoError, data::read_idx(file_of(idx({0, 0, 8}), "short.idx")), "short.idx", "it ends within"),
      WRONG(IoError, data::read_idx(file_of(idx({1, 2, 8, 1, 0, 0, 0, 1, 7}), "magic.idx")), "magic.idx", "it begins with"),
      WRONG(IoError, data::read_idx(file_of(idx({0, 0, 8, 1, 0, 0, 0, 2, 7}), "truncated.idx")), "truncated.idx",
            "its header announces"),
      WRONG(IoError, data::read_idx(file_of(idx({0, 0, 8, 1, 127, 255, 255, 255, 7}), "lying.idx")), "lying.idx", "the limit is"),
      WRONG(IoError, data::read_idx(file_of(idx({0, 0, 8, 1, 0, 0, 0, 1, 7, 8}), "trailing.idx")), "trailing.idx",
            "its header announces"),
      WRONG(IoError, data::read_idx(file_of(idx({31, 139, 8, 0, 1, 2}), "broken.gz")), "broken.gz", "its gzip data"),
      WRONG(ValueError, data::DataLoader(data::TensorDataset(zeros<float>({4, 2})), {.batch_size = 0}), "batch_size", "at least 1"),
      WRONG(ValueError, data::DataLoader(data::TensorDataset(zeros<float>({4, 2})), {.workers = -1}), "workers", "0 makes batches"),
      WRONG(ShapeError, data::TensorDataset(zeros<float>({4, 2}), zeros<float>({5})), "has 4", "has 5"),
      WRONG(IndexError, data::TensorDataset(zeros<float>({4, 2})).get(4), "TensorDataset", "sample 4", "[0, 4)"),
  });
}
