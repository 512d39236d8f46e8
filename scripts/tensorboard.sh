#!/usr/bin/env bash
# Prints a folder for PYTHONPATH that holds TensorBoard, for the tests that read event files with it.
# Fetches it with pip into the build folder when it isn't there yet (130 MB there).
set -euo pipefail
cd "$(dirname "$0")/.."

version=2.21.0
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tensorboard/$version-python$(python3 -c \
    'import sys; print("%d.%d" % sys.version_info[:2])')

if [ ! -e "$folder/tensorboard" ]; then
    mkdir -p "$(dirname "$folder")"
    # Made elsewhere and moved: a download that broke off leaves nothing half there.
    fresh=$(mktemp -d "$folder.XXXX")
    trap 'rm -rf "$fresh"' EXIT
    python3 -m pip install --quiet --disable-pip-version-check --retries 2 --root-user-action ignore \
        --only-binary :all: --no-compile --target "$fresh" "tensorboard==$version" >&2
    mv -T "$fresh" "$folder" 2>/dev/null || [ -e "$folder/tensorboard" ]
fi
echo "$folder"
