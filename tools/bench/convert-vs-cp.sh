#!/bin/sh
# The whole conversion against `cp` of the same file: warm page cache, both fsync'ed, RUNS alternating
# runs (5), medians and their ratio. Needs a JDK 25 and 6 GB of disk.
#
#   tools/bench/convert-vs-cp.sh [FOLDER] [quantize options]      (default: target/bench, --nf4)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${1:-$root/target/bench}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- --nf4
runs=${RUNS:-5}
mkdir -p "$folder"
source=$folder/flux.safetensors
[ -f "$source" ] || "${JAVA_HOME:+$JAVA_HOME/bin/}java" "$root/tools/bench/MakeFlux.java" "$source"
"$root/quantize" --help >/dev/null # builds on first use, outside the timing
cat "$source" >/dev/null           # warms the page cache

now() { date +%s%N; }
median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }
ours=
cp=
for _ in $(seq "$runs"); do
  rm -f "$folder/copy.safetensors" && sync
  start=$(now)
  cp "$source" "$folder/copy.safetensors" && sync "$folder/copy.safetensors"
  cp="$cp $((($(now) - start) / 1000000))"
  rm -f "$folder/copy.safetensors" "$folder/out.safetensors" && sync
  start=$(now)
  "$root/quantize" "$source" "$@" -q -o "$folder/out.safetensors"
  ours="$ours $((($(now) - start) / 1000000))"
done
# shellcheck disable=SC2086 # the lists are split on purpose
{
  a=$(median $ours)
  b=$(median $cp)
}
echo "source $(stat -c %s "$source") bytes, options $*, $runs runs each, milliseconds"
echo "quantize:$ours  median $a"
echo "cp+fsync:$cp  median $b"
echo "ratio to cp: $(awk "BEGIN { printf \"%.2f\", $a / $b }")"
