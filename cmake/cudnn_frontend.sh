#!/bin/sh
# Fetches the headers of cuDNN's frontend, once a user, where there is a CUDA compiler and cuDNN to use them: from NVIDIA's wheel on the
# Python package index, of one version, checked by SHA-256. Without a way there it says so, and the build goes on without cuDNN.
set -eu
version=1.32.0
sha256=c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0
for_what="--python-version 3.11 --implementation cp --abi cp311 --platform manylinux_2_28_x86_64"  # headers are the same in all wheels

[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || exit 0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gradus
to=$cache/cudnn-frontend-$version
[ ! -f "$to/include/cudnn_frontend.h" ] || exit 0

nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
[ -n "$nvcc" ] || exit 0
found=""
for folder in "$(dirname "$(dirname "$(readlink -f "$nvcc")")")/include" /usr/local/cuda/include /usr/include /usr/include/*-linux-gnu; do
  [ ! -f "$folder/cudnn.h" ] || found=$folder
done
[ -n "$found" ] || exit 0
[ ! -f "$found/cudnn_frontend.h" ] && [ ! -f /usr/include/cudnn_frontend.h ] && [ ! -f /usr/local/include/cudnn_frontend.h ] || exit 0

give_up() {
  echo "cudnn_frontend.sh: $1; convolutions, attention and batch norms on a GPU will be our own kernels" >&2
  exit 0
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=python3
python3 -m pip --version >/dev/null 2>&1 || { python3 -m venv "$work/venv" >/dev/null 2>&1 && python=$work/venv/bin/python; } ||
  give_up "no pip"
echo "Fetching the headers of cuDNN's frontend $version"
echo "nvidia-cudnn-frontend==$version --hash=sha256:$sha256" >"$work/wanted"
"$python" -m pip download -q --disable-pip-version-check --timeout 20 --retries 1 --no-deps --only-binary=:all: $for_what --require-hashes \
  -r "$work/wanted" -d "$work" >"$work/log" 2>&1 || give_up "nvidia-cudnn-frontend $version could not be fetched ($(tail -n 1 "$work/log"))"
"$python" -m zipfile -e "$work"/*.whl "$work/wheel"
mkdir -p "$cache"
staged=$(mktemp -d "$cache/.cudnn-frontend.XXXXXX")
mv "$work/wheel/include" "$staged/include"
cp "$work"/wheel/*.dist-info/licenses/* "$staged/"
chmod 755 "$staged"
mv -T "$staged" "$to" 2>/dev/null || rm -rf "$staged"  # another was first
