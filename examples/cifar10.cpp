// A ResNet-18 learns to tell ten kinds of things apart in small colour images.
//
//   cifar10 --data cifar-10-batches-bin --epochs 30 --device cuda --precision bfloat16 --save net.safetensors
#include "options.h"

using namespace gradus;

struct Block : nn::Module {
  nn::Conv2d conv1, conv2;
  nn::BatchNorm2d bn1, bn2;
  std::optional<nn::Sequential> downsample;  // where the shape changes
  GRADUS_MEMBERS(conv1, bn1, conv2, bn2, downsample)

  Block(int64_t in, int64_t out, int64_t stride)
      : conv1({.in = in, .out = out, .kernel = 3, .stride = stride, .padding = 1, .bias = false}),
        conv2({.in = out, .out = out, .kernel = 3, .padding = 1, .bias = false}),
        bn1(out),
        bn2(out) {
    if (stride > 1 || in != out)
      downsample.emplace(nn::Conv2d({.in = in, .out = out, .kernel = 1, .stride = stride, .bias = false}), nn::BatchNorm2d(out));
  }
  template <class T> Tensor<T> forward(const Tensor<T>& x) {
    Tensor<T> y = conv2(bn1.relu(conv1(x)));
    return bn2.relu(y, downsample ? (*downsample)(x) : x);
  }
};

/// He et al.: Deep residual learning for image recognition (2016); with a small first convolution, since the images are small. Names of
/// parameters are torchvision's.
struct ResNet18 : nn::Module {
  nn::Conv2d conv1;
  nn::BatchNorm2d bn1;
  std::vector<Block> layer1, layer2, layer3, layer4;
  nn::Linear fc;
  GRADUS_MEMBERS(conv1, bn1, layer1, layer2, layer3, layer4, fc)

  explicit ResNet18(int64_t width)
      : conv1({.in = 3, .out = width, .kernel = 3, .padding = 1, .bias = false}),
        bn1(width),
        layer1(two(width, width)),
        layer2(two(width, 2 * width)),
        layer3(two(2 * width, 4 * width)),
        layer4(two(4 * width, 8 * width)),
        fc(8 * width, 10) {}
  static std::vector<Block> two(int64_t in, int64_t out) { return {Block(in, out, in == out ? 1 : 2), Block(out, out, 1)}; }

  template <class T> Tensor<T> forward(Tensor<T> x) {  // (N, 3, 32, 32)
    x = bn1.relu(conv1(x));
    for (auto* layer : {&layer1, &layer2, &layer3, &layer4})
      for (Block& block : *layer) x = block(x);        // (N, 512, 4, 4) at the end
    return fc(flatten(adaptive_avg_pool2d(x, 1), 1));  // (N, 10): logits
  }
};

struct Options {
  std::string data = "cifar-10-batches-bin", save, device = "cpu", precision = "float";
  int epochs = 30, batch_size = 128, workers = 2, threads = 0, steps = 0, seed = 0, width = 64;
  double lr = 0.1;
};

/// With activations of type T.
template <class T> void run(const Options& o) {
  manual_seed(uint64_t(o.seed));
  if (o.threads) set_num_threads(o.threads);
  const Device device = device_or_cpu(o.device);

  data::Cifar10 train_images(o.data, data::train), test_images(o.data, data::test);
  data::DataLoader train(data::augment(train_images, data::RandomCrop{.size = 32, .padding = 4}, data::RandomHorizontalFlip()),
                         {.batch_size = o.batch_size, .shuffle = true, .workers = o.workers, .prefetch_to = device});
  data::DataLoader test(test_images, {.batch_size = 500, .workers = o.workers, .prefetch_to = device});

  ResNet18 net(o.width);
  net.to(device);
  const int64_t steps_each = o.steps ? std::min<int64_t>(o.steps, train.size()) : train.size();
  optim::SGD optimizer(net.parameters(), {.lr = o.lr, .momentum = 0.9, .weight_decay = 5e-4, .nesterov = true});
  optim::OneCycleLR schedule(optimizer, {.max_lr = o.lr, .total_steps = o.epochs * steps_each + 1, .cycle_momentum = false});
  optim::GradScaler scaler({.enabled = std::is_same_v<T, half>});
  std::printf("%d images to learn from, %d to test with; %d parameters, activations of %s\n", int(train_images.size()),
              int(test_images.size()), int(net.num_parameters()), name(dtype_of<T>));

  double accuracy = 0;
  for (int epoch = 1; epoch <= o.epochs; ++epoch) {
    net.train();
    auto steps = progress(train, "epoch " + std::to_string(epoch));
    int64_t step = 0;
    for (auto [x, y] : steps) {
      Tensor<float> loss = cross_entropy<float>(net(x.template to<T>()), y);
      optimizer.zero_grad();
      scaler.scale(loss).backward();
      scaler.step(optimizer);
      scaler.update();
      schedule.step();
      if (step % 20 == 0) steps.set("loss", loss.item());
      if (++step == o.steps) break;
    }

    net.eval();
    NoGrad no_grad;
    metrics::Accuracy right;
    for (auto [x, y] : test) right.update(net(x.template to<T>()), y);
    accuracy = right.compute();
    std::printf("epoch %d: %.2f %% of the test images are named right\n", epoch, 100 * accuracy);
  }
  if (!o.save.empty()) save(net, o.save);
  std::printf("test accuracy: %.4f\n", accuracy);
}

int main(int argc, char** argv) {
  return run_example("cifar10", [&] {
    Options o;
    read_options("cifar10", argc, argv,
                 "[--data DIR] [--epochs N] [--batch-size N] [--lr X] [--width N, channels of the first stage] [--seed N]\n"
                 "        [--workers N] [--threads N] [--device cpu|cuda] [--precision float|bfloat16|half] [--save FILE]\n"
                 "        [--steps N, after which an epoch ends]",
                 {{"--data", o.data},
                  {"--epochs", o.epochs, 1},
                  {"--batch-size", o.batch_size, 1},
                  {"--lr", o.lr},
                  {"--width", o.width, 1},
                  {"--seed", o.seed, 0},
                  {"--workers", o.workers, 0},
                  {"--threads", o.threads, 1},
                  {"--device", o.device},
                  {"--precision", o.precision},
                  {"--save", o.save},
                  {"--steps", o.steps, 1}});
    with_precision(o.precision, [&]<class T>() { run<T>(o); });
    return 0;
  });
}
