# shellcheck shell=bash
# Data and reference cases that lie beside a checkout are used without being asked for. Sourced from the
# repository's root by test.sh and scripts/gpu.sh.
beside=../shared
if [ -z "${VOXGRAD_DATA:-}" ] && [ -d "$beside/data" ]; then
    VOXGRAD_DATA=$(realpath "$beside/data")
    export VOXGRAD_DATA
fi
if [ -z "${VOXGRAD_CONFORMANCE:-}" ] && [ -d "$beside/conformance/sample" ]; then
    VOXGRAD_CONFORMANCE=$(realpath "$beside/conformance/sample")
    export VOXGRAD_CONFORMANCE
fi
