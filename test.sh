#!/usr/bin/env bash
# Runs every test. Needs Rust (https://rustup.rs), a C and a C++ compiler, and on Linux a Vulkan driver
# for the compute shaders; installs the last three with apt-get where they are missing (Mesa's driver in
# software, so no GPU is needed). NVIDIA's compiler for the CUDA kernels, and TensorBoard, whose reader sees
# the event files, are fetched with pip into target/.
# Where there is no NVIDIA GPU, the CUDA kernels run on a simulator that is built first (cudasim/).
#
#   VOXGRAD_REQUIRE=cpu       what must not be skipped, comma-separated: cpu, wgpu, cuda, nvrtc,
#                             data (real data sets), conformance (more reference cases)
#   VOXGRAD_NVRTC=FILE        the libnvrtc.so to compile the CUDA kernels with
#   VOXGRAD_NVRTC_TABLE=FILE  where to list the registers and shared memory of every CUDA kernel
#                             (kernels.md beside the libnvrtc.so that was fetched)
#   VOXGRAD_OPS=conv,softmax  only the ops whose names begin like this, in the tests of all ops
#   VOXGRAD_DATA=DIR          real data sets; without it the tests use data they make
#   VOXGRAD_PYTHON=FILE       a Python that has TensorBoard, instead of fetching it
#   VOXGRAD_CONFORMANCE=DIR   more folders of reference cases (colon-separated)
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v cargo >/dev/null; then
    echo "test.sh: cargo was not found; install Rust from https://rustup.rs and start a new shell" >&2
    exit 1
fi
install() {
    local as_root
    as_root=$([ "$(id -u)" -eq 0 ] || echo sudo)
    $as_root apt-get update -q && $as_root apt-get install -qy "$@"
}
if ! command -v cc >/dev/null; then
    if ! command -v apt-get >/dev/null; then
        echo "test.sh: no C compiler (cc) was found; install one, such as gcc or clang" >&2
        exit 1
    fi
    install gcc libc6-dev
fi
# What runs the CUDA kernels without a GPU compiles them as C++.
if [ "$(uname)" = Linux ] && ! command -v c++ >/dev/null && ! command -v g++ >/dev/null; then
    if ! command -v apt-get >/dev/null || ! install g++; then
        echo "test.sh: no C++ compiler could be installed; the CUDA kernels will not be run" >&2
    fi
fi
# Whether there is a GPU, or Mesa's driver in software.
vulkan() {
    [ -n "$(ls /dev/dri/renderD* /dev/nvidia0 /usr/share/vulkan/icd.d/lvp_icd*.json 2>/dev/null)" ]
}
if [ "$(uname)" = Linux ] && ! vulkan; then
    if ! command -v apt-get >/dev/null || ! install mesa-vulkan-drivers; then
        echo "test.sh: no Vulkan driver could be installed; the compute shaders will not be run" >&2
    fi
fi

if [ "$(uname)" = Linux ] && [ -z "${VOXGRAD_NVRTC:-}" ]; then
    if VOXGRAD_NVRTC=$(scripts/nvrtc.sh); then
        export VOXGRAD_NVRTC
        # Registers and shared memory of every kernel.
        export VOXGRAD_NVRTC_TABLE=${VOXGRAD_NVRTC_TABLE:-${VOXGRAD_NVRTC%/*/nvidia/*}/kernels.md}
    else
        unset VOXGRAD_NVRTC
        echo "test.sh: NVIDIA's compiler could not be fetched with pip; it will not see the CUDA kernels" >&2
    fi
fi
if [ -z "${VOXGRAD_PYTHON:-}" ]; then
    if tensorboard=$(scripts/tensorboard.sh); then
        export PYTHONPATH=$tensorboard${PYTHONPATH:+:$PYTHONPATH}
    else
        echo "test.sh: TensorBoard could not be fetched with pip; it will not read the event files" >&2
    fi
fi
if [ -e /dev/nvidia0 ]; then
    # On an NVIDIA GPU the kernels need the compiler too; the system's own, where there is one.
    if [ -n "${VOXGRAD_NVRTC:-}" ] && [[ $(ldconfig -p 2>/dev/null) != *libnvrtc.so* ]]; then
        LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$(dirname "$VOXGRAD_NVRTC")
        export LD_LIBRARY_PATH
    fi
elif [ "$(uname)" = Linux ]; then
    # Without one the CUDA kernels run on the simulator.
    if simulator=$(scripts/cudasim.sh); then
        export LD_LIBRARY_PATH=$simulator${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
        # What the simulator compiles stays out of the user's cache.
        export VOXGRAD_CUDA_CACHE=${VOXGRAD_CUDA_CACHE:-$simulator/cubin}
    else
        echo "test.sh: the simulator of CUDA could not be built; the CUDA kernels will not be run" >&2
    fi
fi
. scripts/beside.sh
# Mesa asks the desktop which GPU to use, and complains where there is no desktop.
export NODEVICE_SELECT=1
export VOXGRAD_REQUIRE=${VOXGRAD_REQUIRE:-cpu}

cargo test --workspace --no-fail-fast "$@"
