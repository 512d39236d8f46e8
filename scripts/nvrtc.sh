#!/usr/bin/env bash
# Prints the path of a libnvrtc.so.13: NVIDIA's compiler of CUDA C++, which needs no GPU and no driver.
# Fetches it with pip into the build folder when it isn't there yet (a download of 90 MB).
set -euo pipefail
cd "$(dirname "$0")/.."

# The first CUDA 13, so that every driver of CUDA 13 loads what it makes.
version=13.0.88
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/nvrtc/$version
library=$folder/nvidia/cu13/lib/libnvrtc.so.13

if [ ! -e "$library" ]; then
    mkdir -p "$(dirname "$folder")"
    # Made elsewhere and moved: a download that broke off leaves nothing half there.
    fresh=$(mktemp -d "$folder.XXXX")
    trap 'rm -rf "$fresh"' EXIT
    python3 -m pip install --quiet --disable-pip-version-check --retries 2 --root-user-action ignore \
        --no-deps --only-binary :all: --target "$fresh" "nvidia-cuda-nvrtc==$version" >&2
    rm -f "$fresh"/nvidia/cu13/lib/*.alt.so*
    mv -T "$fresh" "$folder" 2>/dev/null || [ -e "$library" ]
fi
echo "$library"
