#!/bin/bash
# bash cmake/check_gpu.sh [TEST...]: what only a machine with an NVIDIA GPU can say. Builds release, runs the tests of GPUs there, then those of ops
# (or the named ones, such as softmax_test) under compute-sanitizer's memcheck, racecheck and initcheck, and says what failed. Exits with 77 where
# there is no GPU.
set -uo pipefail
cd "$(dirname "$0")/.."

if ! nvidia-smi -L >/dev/null 2>&1; then
  echo "check_gpu: no NVIDIA GPU here (nvidia-smi finds none); nothing was checked"
  exit 77
fi
nvidia-smi -L
sanitizer=$(command -v compute-sanitizer || ls /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null | tail -1)

export OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive
build=build/release
logs=$build/check_gpu
failed=()
step() {  # step NAME COMMAND...: its output goes to a file, of which the end is shown when it fails
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$logs/$name.log" 2>&1; then
    printf 'ok      %5d s  %s\n' $((SECONDS - start)) "$name"
  else
    printf 'FAILED  %5d s  %s: %s\n' $((SECONDS - start)) "$name" "$*"
    tail -n 40 "$logs/$name.log"
    failed+=("$name")
  fi
}

rm -rf "$logs"
mkdir -p "$logs"
sources=$(grep -lE '(DEVICE|GPU)_TEST\(' tests/*/*_test.cpp)
names=$(for source in $sources; do basename "$source" .cpp; done)
sh cmake/build.sh release $names conformance >"$logs/build.log" 2>&1 || {
  tail -n 40 "$logs/build.log"
  echo "check_gpu: the build failed ($logs/build.log)"
  exit 1
}
if ! grep -q 'GRADUS_WITH_CUDA=1' "$build/build.ninja"; then
  echo "check_gpu: this build has no kernels for GPUs; the configuration in $logs/build.log says why"
  exit 1
fi

on_gpu='--gtest_filter=*_cuda:Gpu.*:*/cuda'
for name in $names; do
  step "$name" "$build/tests/$name" --gtest_brief=1 "$on_gpu"
  grep -q 'no CUDA device' "$logs/$name.log" && { echo "check_gpu: $name was skipped: the library finds no GPU"; failed+=("$name (skipped)"); }
done
# Memory block by block: what is written outside of a tensor is found without tools too.
for name in $names; do GRADUS_DEVICE_MEMORY=guarded step "$name.guarded" "$build/tests/$name" --gtest_brief=1 "$on_gpu"; done
recordings=${GRADUS_CONFORMANCE:-../shared/conformance}
[ -d "$recordings" ] && step conformance "$build/tests/conformance" "$recordings" --device cuda

if [ -z "$sanitizer" ]; then
  echo "check_gpu: there is no compute-sanitizer; memory and races were not checked"
  failed+=("compute-sanitizer (missing)")
else
  ops=${*:-$(for source in $(grep -lE 'DEVICE_TEST\(' tests/ops/*_test.cpp tests/loss/*_test.cpp); do basename "$source" .cpp; done)}
  for tool in memcheck racecheck initcheck; do
    for name in $ops; do
      GRADUS_DEVICE_MEMORY=alone step "$name.$tool" "$sanitizer" --tool "$tool" --error-exitcode 1 "$build/tests/$name" --gtest_brief=1 "$on_gpu"
    done
  done
fi

if [ ${#failed[@]} -gt 0 ]; then
  printf 'check_gpu: %d failed (logs in %s): %s\n' ${#failed[@]} "$logs" "${failed[*]}"
  exit 1
fi
echo "check_gpu: all passed"
