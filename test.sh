#!/usr/bin/env bash
# Runs every test. Needs Rust (https://rustup.rs) and a C compiler for linking; installs the latter
# with apt-get when it is missing.
#
#   VOXGRAD_REQUIRE=cpu       what must not be skipped, comma-separated: cpu, wgpu, cuda,
#                             data (real data sets), conformance (more reference cases)
#   VOXGRAD_DATA=DIR          real data sets; without it the tests use data they make
#   VOXGRAD_CONFORMANCE=DIR   more folders of reference cases (colon-separated)
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v cargo >/dev/null; then
    echo "test.sh: cargo was not found; install Rust from https://rustup.rs and start a new shell" >&2
    exit 1
fi
if ! command -v cc >/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "test.sh: no C compiler (cc) was found; install one, such as gcc or clang" >&2
        exit 1
    fi
    as_root=$([ "$(id -u)" -eq 0 ] || echo sudo)
    $as_root apt-get update -q && $as_root apt-get install -qy gcc libc6-dev
fi

# Data and reference cases that lie beside a checkout are used without being asked for.
beside=../shared
if [ -z "${VOXGRAD_DATA:-}" ] && [ -d "$beside/data" ]; then
    VOXGRAD_DATA=$(realpath "$beside/data")
    export VOXGRAD_DATA
fi
if [ -z "${VOXGRAD_CONFORMANCE:-}" ] && [ -d "$beside/conformance/sample" ]; then
    VOXGRAD_CONFORMANCE=$(realpath "$beside/conformance/sample")
    export VOXGRAD_CONFORMANCE
fi
export VOXGRAD_REQUIRE=${VOXGRAD_REQUIRE:-cpu}

cargo test --workspace --no-fail-fast "$@"
