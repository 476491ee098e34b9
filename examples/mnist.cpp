// A convolutional network learns to tell ten kinds of clothes, or handwritten digits, apart.
//
//   mnist --data /usr/share/datasets/fashion-mnist --epochs 3 --save net.safetensors
#include "options.h"

using namespace gradus;

struct Net : nn::Module {
  nn::Conv2d conv1{{.in = 1, .out = 32, .kernel = 3}}, conv2{{.in = 32, .out = 64, .kernel = 3}};
  nn::Dropout drop1{0.25}, drop2{0.5};
  nn::Linear fc1{9216, 128}, fc2{128, 10};
  GRADUS_MEMBERS(conv1, conv2, drop1, drop2, fc1, fc2)

  template <class T> Tensor<T> forward(Tensor<T> x) {            // (N, 1, 28, 28)
    x = max_pool2d(relu(conv2(relu(conv1(x)))), {.kernel = 2});  // (N, 64, 12, 12)
    x = drop2(relu(fc1(flatten(drop1(x), 1))));                  // (N, 128)
    return fc2(x);                                               // (N, 10): logits
  }
};

struct Options {
  std::string data = "/usr/share/datasets/fashion-mnist", save, device = "cpu";
  int epochs = 3, batch_size = 64, workers = 2, threads = 0, steps = 0, seed = 0;
};

void show(const data::Mnist& images, Net& net, Device device);

void run(const Options& options) {
  manual_seed(uint64_t(options.seed));
  if (options.threads) set_num_threads(options.threads);
  const Device device = device_or_cpu(options.device);

  data::Mnist train_images(options.data, data::train), test_images(options.data, data::test);
  data::DataLoader train(train_images,
                         {.batch_size = options.batch_size, .shuffle = true, .workers = options.workers, .prefetch_to = device});
  data::DataLoader test(test_images, {.batch_size = 1000, .workers = options.workers, .prefetch_to = device});

  Net net;
  net.to(device);
  optim::AdamW optimizer(net.parameters(), {.lr = 2e-3});
  optim::CosineAnnealingLR schedule(optimizer, {.T_max = options.epochs * int(train.size())});  // small steps at the end
  std::printf("%d images to learn from, %d to test with; %d parameters\n", int(train_images.size()), int(test_images.size()),
              int(net.num_parameters()));

  metrics::ConfusionMatrix answers(int64_t(test_images.class_names().size()), test_images.class_names());
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    net.train();
    auto steps = progress(train, "epoch " + std::to_string(epoch));
    int step = 0;
    for (auto [x, y] : steps) {
      Tensor<float> loss = cross_entropy(net(x), y);
      optimizer.zero_grad();
      loss.backward();
      optimizer.step();
      schedule.step();
      steps.set("loss", loss.item());
      if (++step == options.steps) break;
    }

    net.eval();
    NoGrad no_grad;
    answers.reset();
    for (auto [x, y] : test) answers.update(net(x), y);
    std::printf("epoch %d: %.2f %% of the test images are named right\n", epoch, 100 * answers.accuracy());
  }
  if (!options.save.empty()) save(net, options.save);

  std::printf("\n%s\n", answers.report().c_str());
  show(test_images, net, device);
  std::printf("test accuracy: %.4f\n", answers.accuracy());
}

/// The first ten images as text, five in a row, each with the network's guess, and below a wrong one what it is.
void show(const data::Mnist& images, Net& net, Device device) {
  constexpr int kWidth = 14, kHeight = 9;
  NoGrad no_grad;
  const std::vector<int64_t> first_ten = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  auto [x, y] = images.get_batch(first_ten);
  Tensor<int64_t> guess = argmax(net(x.to(device)), 1).to(kCPU);
  auto name = [&](int64_t c) { return images.class_names()[size_t(c)].c_str(); };
  auto shade = [&](int64_t image, int row, int column) {
    const int top = row * 28 / kHeight, bottom = (row + 1) * 28 / kHeight;
    Tensor<uint8_t> patch = images.images()(image, slice(top, bottom), slice(2 * column, 2 * column + 2));
    return " .:-=+*#%@"[int(mean(patch.to<float>()).item() * 10 / 256)];
  };
  for (int64_t begin : {0, 5}) {
    for (int row = 0; row < kHeight; ++row, std::printf("\n"))
      for (int64_t i = begin; i < begin + 5; ++i, std::printf("  "))
        for (int column = 0; column < kWidth; ++column) std::printf("%c", shade(i, row, column));
    for (int64_t i = begin; i < begin + 5; ++i) std::printf("%-*s  ", kWidth, name(guess.data()[i]));
    std::printf("\n");
    for (int64_t i = begin; i < begin + 5; ++i) {
      const bool right = guess.data()[i] == y.data()[i];
      std::printf("%-*s  ", kWidth, right ? "" : ("not " + std::string(name(y.data()[i]))).c_str());
    }
    std::printf("\n");
  }
}

int main(int argc, char** argv) {
  return run_example("mnist", [&] {
    Options o;
    read_options("mnist", argc, argv,
                 "[--data DIR] [--epochs N] [--batch-size N] [--seed N] [--workers N] [--threads N] [--device cpu|cuda]\n"
                 "      [--save FILE] [--steps N, after which an epoch ends]",
                 {{"--data", o.data},
                  {"--save", o.save},
                  {"--device", o.device},
                  {"--epochs", o.epochs, 1},
                  {"--batch-size", o.batch_size, 1},
                  {"--steps", o.steps, 1},
                  {"--workers", o.workers, 0},
                  {"--threads", o.threads, 1},
                  {"--seed", o.seed, 0}});
    run(o);
    return 0;
  });
}
