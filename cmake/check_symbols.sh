#!/bin/bash
# check_symbols.sh BUILD_DIR: whatever a kernel file for AVX2 or AVX-512 inlines must carry the instruction set in its name (its inline
# namespace). A weak function that does not could be the copy that the linker keeps for everybody, and stop an older processor.
set -euo pipefail
build=$1
status=0
for isa in avx2 avx512; do
  objects=("$build"/kernels/CMakeFiles/gradus_kernels_$isa.dir/cpu/isa/*.o)
  [ -e "${objects[0]}" ] || { echo "check_symbols: no objects for $isa in $build" >&2; exit 1; }
  weak=$(nm --defined-only -o "${objects[@]}" | awk '$2 == "W"')
  outside=$(grep -v "${#isa}$isa" <<<"$weak" || true)
  if [ -n "$outside" ]; then
    echo "check_symbols: functions compiled for $isa that other code could be linked to:"
    awk '{ print $NF }' <<<"$outside" | sort | uniq -c | sort -nr | c++filt
    grep -o 'cpu/isa/[^:]*' <<<"$outside" | sort -u | sed 's/^/  in /'
    status=1
  fi
  echo "check_symbols: $isa: $(grep -c . <<<"$weak" || true) inline functions in ${#objects[@]} objects, $(grep -c . <<<"$outside" || true) without its name"
done
exit $status
