#!/bin/sh
# Sets up, builds everything with warnings as errors, and runs all tests. Arguments go to ctest: -R softmax, -L ops, ...
set -eu
cd "$(dirname "$0")/.."
sh cmake/deps.sh
sh cmake/python_env.sh
sh cmake/build.sh dev
exec ctest --preset dev "$@"
