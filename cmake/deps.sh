#!/bin/sh
# Installs, with apt-get, what Debian 12 lacks to build Gradus, test it, and train the first network. Packages only, and on a machine
# with CUDA and cuDNN the headers that go with them (cudnn_frontend.sh). Nothing happens when everything is there. Runs as root or
# through sudo, and never asks.
set -eu
cd "$(dirname "$0")"

packages=$(sed 's/#.*//' <<'LIST'
g++                     # the compiler
cmake ninja-build       # the build
ccache                  # makes a second build cheap
pkg-config              # how other projects find the library; tested
git ca-certificates     # sources
libeigen3-dev           # decompositions (svd, qr, eigh, ...)
libsleef-dev            # vectorized functions for double
zlib1g-dev              # datasets that are compressed
nlohmann-json3-dev      # headers of safetensors files
libopenblas-openmp-dev  # its threads follow the library's; the variant that shares OpenMP's
libdnnl-dev             # oneDNN: convolutions, pooling, small matrix products
libcurl4-openssl-dev    # opt-in download of datasets
libssl-dev              # SHA-256 of what was downloaded
libgtest-dev            # tests
clang libclang-rt-dev libomp-dev  # sanitizers and fuzzing
clang-format            # layout of the source
python3-venv            # checks of the source; reading and writing safetensors with Python's own library in a test
dataset-fashion-mnist   # 70,000 real images to learn from
LIST
)

if ! command -v apt-get >/dev/null; then
  echo "deps.sh: no apt-get here; please install what matches: $(echo $packages)" >&2
  exec sh cudnn_frontend.sh
fi

missing=""
for package in $packages; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exec sh cudnn_frontend.sh

root=""
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "deps.sh: not root and no sudo; as root: apt-get install$missing" >&2; exit 1; }
  root=sudo
fi
echo "Installing:$missing"
$root apt-get update -q </dev/null
$root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing </dev/null
exec sh cudnn_frontend.sh
