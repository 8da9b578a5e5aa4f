#!/bin/sh
# Maven's way to the kernels: build.sh auto|true|false
#   auto   compiles them where an nvcc of CUDA 12.4 or newer is found; says so in one line where none is
#   true   fails where none is found: a release carries kernels
#   false  a build without kernels
# nvcc is looked for in NVCC, on the PATH, in CUDA_HOME and in /usr/local/cuda.
set -u
unset CDPATH
cd "$(dirname "$0")" || exit 1

# Whether $1 is an nvcc that knows C++20 and sm_90a.
serves() {
  [ -n "$1" ] && release=$("$1" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\)\.\([0-9]*\).*/\1 \2/p') &&
    [ -n "$release" ] && [ $((${release% *} * 100 + ${release#* })) -ge 1204 ]
}

find_nvcc() {
  for nvcc in "${NVCC:-}" "$(command -v nvcc 2>/dev/null)" "${CUDA_HOME:+$CUDA_HOME/bin/nvcc}" /usr/local/cuda/bin/nvcc; do
    serves "$nvcc" && return
  done
  return 1
}

without() {
  rm -f ../../../target/classes/dev/nibble/runtime/cuda/kernels/*.fatbin
  echo "kernels: none in this build, it runs on the cpu device only: $1"
}

case $1 in
  false) without "-Dkernels=false" ;;
  true | auto)
    if find_nvcc; then
      exec make -s -j2 NVCC="$nvcc"
    elif [ "$1" = true ]; then
      echo "kernels: no nvcc of CUDA 12.4 or newer found, without which nothing is released: set NVCC or CUDA_HOME" >&2
      exit 1
    else
      without "no nvcc of CUDA 12.4 or newer found (NVCC, PATH, CUDA_HOME, /usr/local/cuda)"
    fi
    ;;
  *)
    echo "kernels: -Dkernels=$1 is none of auto, true, false" >&2
    exit 1
    ;;
esac
