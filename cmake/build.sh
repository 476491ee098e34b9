#!/bin/sh
# sh cmake/build.sh PRESET [TARGET...]: configures and builds, with as many compilers at once as processors and memory allow.
set -eu
cd "$(dirname "$0")/.."
preset=$1
shift
cores=$(nproc)
memory=$(awk '/^MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo)  # a compiler may take 1.5 GB
jobs=$cores
[ "$memory" -ge "$jobs" ] || jobs=$memory
[ "$jobs" -ge 1 ] || jobs=1
cmake --preset "$preset"
cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"}
