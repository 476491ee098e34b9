#!/bin/bash
# check_consumer.sh BUILD_DIR: installs what was built there and builds tests/consumer/main.cpp against it in the three ways that a
# user has: find_package, pkg-config, and Gradus as a subdirectory. The installed tree is moved first: nothing may remember where it was.
set -euo pipefail
build=$(realpath "$1")
cd "$(dirname "$0")/.."
source=$PWD
work=$source/build/consumer
rm -rf "$work"
mkdir -p "$work"

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/installed"
echo "-- find_package"
cmake -G Ninja -S tests/consumer/package -B "$work/package" -DCMAKE_PREFIX_PATH="$work/installed" -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build "$work/package"
"$work/package/consumer"

echo "-- pkg-config"
export PKG_CONFIG_PATH=$work/installed/lib/pkgconfig:$work/installed/lib/$(gcc -print-multiarch)/pkgconfig
g++ -std=c++20 -O1 -Wall -Wextra -Werror tests/consumer/main.cpp $(pkg-config --cflags --libs --static gradus) -o "$work/pkg-config-consumer"
"$work/pkg-config-consumer"

echo "-- subdirectory"
# With the flags of $build, at its depth, objects come from the compiler cache where there is one.
flag() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
type=$(flag CMAKE_BUILD_TYPE)
launcher=$(flag GRADUS_CCACHE)
[ ! -x "$launcher" ] || launcher="env;CCACHE_BASEDIR=$source;CCACHE_NOHASHDIR=1;$launcher"
cmake -G Ninja -S tests/consumer/subdirectory -B build/consumer-subdirectory -DCMAKE_BUILD_TYPE="$type" \
  -DCMAKE_CXX_FLAGS_${type^^}="$(flag CMAKE_CXX_FLAGS_${type^^})" -DGRADUS_WERROR="$(flag GRADUS_WERROR)" \
  ${launcher:+"-DCMAKE_CXX_COMPILER_LAUNCHER=$launcher" "-DCMAKE_CUDA_COMPILER_LAUNCHER=$launcher"} >/dev/null
cmake --build build/consumer-subdirectory -j 2
build/consumer-subdirectory/consumer
