// A program of another project: makes tensors, records a graph, and takes a gradient.
#include <cstdio>

#include "gradus/gradus.h"

using namespace gradus;

int main() {
  Tensor<float> x = {{1, 2}, {3, 4}};
  x.requires_grad_();
  Tensor<float> y = (x * x).sum();  // 1 + 4 + 9 + 16
  y.backward();
  bool right = y.item() == 30 && x.grad().vector() == std::vector<float>{2, 4, 6, 8};
  bool raises = false;
  try {
    (void)(x + Tensor<float>{1, 2, 3});
  } catch (const ShapeError&) {  // thrown in the library, caught by its type out here
    raises = true;
  }
  std::printf("consumer: %s\n", right && raises ? "ok" : "WRONG");
  return right && raises ? 0 : 1;
}
