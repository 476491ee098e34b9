#!/bin/sh
# build/python: a Python with the reference implementation of safetensors, for the test that exchanges files with it. Without a way
# to the package index it is left out, and the test says that it was skipped.
set -eu
cd "$(dirname "$0")/.."
wanted="safetensors==0.4.5 numpy==1.26.4"
[ "$(cat build/python/wanted 2>/dev/null)" != "$wanted" ] || exit 0
mkdir -p build
if python3 -m venv build/python && build/python/bin/pip install -q --disable-pip-version-check --timeout 20 --retries 1 $wanted; then
  echo "$wanted" >build/python/wanted
else
  rm -rf build/python
  echo "python_env.sh: $wanted could not be installed; the test that exchanges files with Python will be skipped" >&2
fi
