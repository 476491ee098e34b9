#!/bin/sh
# run.sh PROGRAM: fuzzes for $GRADUS_FUZZ_SECONDS (60) and fails on the first input that crashes, leaks or takes too much.
set -eu
program=$1
name=$(basename "$program")
seeds=$(dirname "$0")/corpus/$name
found=$(dirname "$program")/found/$name
mkdir -p "$found"
[ -d "$seeds" ] || seeds=""
exec "$program" -max_total_time="${GRADUS_FUZZ_SECONDS:-60}" -rss_limit_mb=2048 -malloc_limit_mb=1024 -timeout=10 -print_final_stats=1 \
  -artifact_prefix="$found-" "$found" $seeds
