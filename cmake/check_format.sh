#!/bin/sh
# Every tracked C++ file is laid out by clang-format 14. `check_format.sh --fix` does it.
set -eu
cd "$(dirname "$0")/.."
format=$(command -v clang-format-14 || command -v clang-format)
if [ "${1:-}" = --fix ]; then
  git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs "$format" -i
else
  git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs "$format" --dry-run -Werror
fi
