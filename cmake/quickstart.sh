#!/bin/sh
# Sets up, builds, and trains a convolutional network on Fashion-MNIST. Arguments go to the program: --epochs 5 --data DIR ...
set -eu
cd "$(dirname "$0")/.."
sh cmake/deps.sh
sh cmake/build.sh release mnist
exec build/release/examples/mnist --data /usr/share/datasets/fashion-mnist "$@"
