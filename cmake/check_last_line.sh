#!/bin/sh
# check_last_line.sh PATTERN PROGRAM [ARGUMENT...]: the program succeeds, and the last line that it prints is PATTERN.
set -eu
pattern=$1
shift
output=$("$@") || { echo "$output"; exit 1; }
echo "$output"
echo "$output" | tail -n 1 | grep -Eqx "$pattern" || { echo "the last line is not: $pattern" >&2; exit 1; }
