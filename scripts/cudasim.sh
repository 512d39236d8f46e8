#!/usr/bin/env bash
# Builds the simulated libcuda and libnvrtc (see cudasim/README.md) and prints the folder they are in.
# Programs that look for CUDA find them there when it is in LD_LIBRARY_PATH:
#
#   LD_LIBRARY_PATH=$(scripts/cudasim.sh) cargo test
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "$(uname)" != Linux ]; then
    echo "cudasim.sh: the simulator runs on Linux only" >&2
    exit 1
fi
cargo build --quiet --release -p cudasim-driver -p cudasim-nvrtc >&2
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/cudasim"

# A copy beside it and a rename: a program that has the old file loaded keeps it.
place() {
    for name in "${@:2}"; do
        cp "$target/release/$1" "$target/cudasim/.$name.$$"
        mv "$target/cudasim/.$name.$$" "$target/cudasim/$name"
    done
}
place libcudasim_driver.so libcuda.so libcuda.so.1
place libcudasim_nvrtc.so libnvrtc.so libnvrtc.so.12 libnvrtc.so.13
realpath "$target/cudasim"
