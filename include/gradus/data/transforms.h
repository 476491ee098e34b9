// Augmentations: plain functions of an image (..., H, W) on the CPU and, where they are random, the generator to draw from, so that
// batches are the same for any number of workers. Of any dtype; a view or a batch is as good as one image, and is changed as one.
//
//   auto train = data::augment(data::Cifar10(folder, data::train), data::RandomCrop{.size = 32, .padding = 4}, data::RandomHorizontalFlip());
#pragma once
#include <tuple>
#include <vector>

#include "gradus/core/tensor.h"
#include "gradus/data/map.h"
#include "gradus/ops/window.h"

namespace gradus::data {

namespace detail {
AnyTensor random_crop(const AnyTensor& x, Pair size, Pair padding, double fill, Generator& g);
AnyTensor random_flip(const AnyTensor& x, double p, bool upside_down, Generator& g);
AnyTensor normalize(const AnyTensor& x, const std::vector<double>& mean, const std::vector<double>& deviation);
}  // namespace detail

/// A window of `size` at a random place of the image, `fill` being at each side of it `padding` wide. Throws ShapeError for a window
/// that is larger. Draws its row, then its column.
struct RandomCrop {
  Pair size, padding = 0;
  double fill = 0;
  template <class T> Tensor<T> operator()(const Tensor<T>& x, Generator& g) const {
    return Tensor<T>(detail::random_crop(x, size, padding, fill, g));
  }
};
/// Left and right change places with probability p. Throws ValueError for p outside [0, 1].
struct RandomHorizontalFlip {
  double p = 0.5;
  template <class T> Tensor<T> operator()(const Tensor<T>& x, Generator& g) const {
    return Tensor<T>(detail::random_flip(x, p, false, g));
  }
};
/// Top and bottom.
struct RandomVerticalFlip {
  double p = 0.5;
  template <class T> Tensor<T> operator()(const Tensor<T>& x, Generator& g) const {
    return Tensor<T>(detail::random_flip(x, p, true, g));
  }
};
/// (x - mean) / deviation for each channel of (..., C, H, W), a number each. Throws ShapeError for another number of channels, ValueError
/// for a deviation that is not positive.
struct Normalize {
  std::vector<double> mean, deviation;
  template <class T> Tensor<T> operator()(const Tensor<T>& x) const { return Tensor<T>(detail::normalize(x, mean, deviation)); }
};

/// The dataset with the first member of each sample, a tensor, sent through transforms one after the other; each is called with the
/// tensor, or with the tensor and a generator.
template <Dataset D, class... F> auto augment(D dataset, F... transforms) {
  return map(std::move(dataset), [... f = std::move(transforms)](auto sample, Generator& g) {
    auto& x = std::get<0>(sample);
    auto through = [&](const auto& transform) {
      if constexpr (requires { transform(x, g); })
        x = transform(x, g);
      else
        x = transform(x);
    };
    (through(f), ...);
    return sample;
  });
}

}  // namespace gradus::data
