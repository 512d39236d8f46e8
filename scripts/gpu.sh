#!/usr/bin/env bash
# One command for a machine with an NVIDIA GPU: runs every test, then the benches, then the same work in
# PyTorch if it is installed, and writes one table, in at most eight minutes.
#
#   scripts/gpu.sh                 builds here and runs here
#   scripts/gpu.sh --build DIR     collects in DIR all that a run needs; for machines with Rust
#   scripts/gpu.sh --run DIR       runs what is in DIR; needs no Rust, no network, glibc 2.36 or newer
#   scripts/gpu.sh --build DIR.tar.xz, --run DIR.tar.xz      the same through one compressed file
#
#   --out FILE       the table, FILE.md and FILE.json; without it benches/results/CARD-DATE
#   --device NAME    cuda, cuda:N, or cpu to try this script without a GPU
#   --without LIST   what --build leaves out, comma-separated: nvrtc (NVIDIA's compiler, 110 MB, which
#                    PyTorch brings along too), data (a real data set, 37 MB), cpu (tests that touch no GPU)
#   PYTHON=python3   the Python that has PyTorch
set -euo pipefail
export LC_ALL=C

limit=480      # seconds in all
newest=2.36    # the glibc that programs may need at most
# Test programs that touch a GPU, those that say most of one first.
on_gpu='./parity ./conformance ./cuda ./cuda_graph ./train_step ./devices ./determinism ./gpu_trouble
    kernels/voxgrad_kernels ./training ./wgpu'
here=$(dirname "$(realpath "$0")")
build='' run='' out='' device=cuda without=''
fail() {
    echo "gpu.sh: $*" >&2
    exit 1
}
while [ $# -gt 0 ]; do
    [ $# -gt 1 ] || fail "$1: there is no such option, or it lacks its value; see the head of $0"
    case $1 in
    --build) build=$2 ;;
    --run) run=$2 ;;
    --out) out=$2 ;;
    --device) device=$2 ;;
    --without) without=$2 ;;
    *) fail "$1: there is no such option; see the head of $0" ;;
    esac
    shift 2
done
if [ -z "$build$run" ]; then
    command -v cargo >/dev/null || fail "cargo was not found; collect a folder where Rust is: $0 --build DIR"
    build=$here/../target/gpu
    run=$build
fi

# --- what --build does -------------------------------------------------------------------------------

# The programs that a cargo command builds, one a line: folder of the package, name, file.
programs() {
    local folder='"manifest_path":"\([^"]*\)\/Cargo.toml"'
    local name='"name":"\([^"]*\)"' file='"executable":"\([^"]*\)"'
    cargo "$@" --message-format=json-render-diagnostics |
        sed -n "s/.*$folder.*$name.*$file.*/\1\t\2\t\3/p"
}

# Copies a program without its symbols, and checks that it starts with the glibc of $newest.
program() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2"
    strip "$2" 2>/dev/null || true
    local needs
    needs=$(objdump -T "$2" | sed -n 's/.*(\?GLIBC_\([0-9.]*\).*/\1/p' | sort -V | tail -n 1)
    if [ "$(printf '%s\n' "$needs" "$newest" | sort -V | tail -n 1)" != "$newest" ]; then
        fail "$2 needs glibc $needs; build on a system with glibc $newest or older, such as Debian 12"
    fi
}

collect() {
    local root to from name file folder
    root=$(realpath "$here/..")
    mkdir -p "$1"
    to=$(realpath "$1")
    [ -z "$(ls -A "$to")" ] || [ -e "$to/built.txt" ] || fail "$to is not empty"
    rm -rf "${to:?}"/*
    touch "$to/built.txt"
    cd "$root"
    command -v objdump >/dev/null || fail "objdump was not found; install binutils"
    . scripts/beside.sh

    # Tests: one folder for each package, "." for the workspace's own.
    # The simulator's are about machines without a GPU.
    local simulator='--exclude cudasim --exclude cudasim-driver --exclude cudasim-nvrtc'
    # shellcheck disable=SC2086
    programs test --workspace $simulator --no-run >"$to/tests"
    while IFS=$'\t' read -r from name file; do
        folder=$(realpath --relative-to "$root" "$from")
        case $file in
        */examples/*) program "$file" "$to/examples/$name" ;;
        *) [[ ,$without, == *,cpu,* && " $on_gpu " != *[[:space:]]$folder/$name[[:space:]]* ]] ||
            program "$file" "$to/tests.d/$folder/$name" ;;
        esac
    done <"$to/tests"
    for name in $on_gpu; do
        [ -e "$to/tests.d/$name" ] || fail "there is no test program $name any more; mend the list in $0"
    done
    programs bench --no-run --bench ops --bench train_step --bench report >"$to/benches"
    while IFS=$'\t' read -r from name file; do
        program "$file" "$to/benches.d/$name"
    done <"$to/benches"
    rm "$to/tests" "$to/benches"

    # What the tests read, where they look for it.
    for folder in kernels engine models tests benches scripts; do
        mkdir -p "$to/files/$folder"
        tar -C "$folder" --exclude __pycache__ --exclude ./results -cf - . | tar -C "$to/files/$folder" -xf -
    done
    local n=0 folders=()
    IFS=: read -ra folders <<<"${VOXGRAD_CONFORMANCE:-}"
    for folder in "${folders[@]}"; do
        n=$((n + 1))
        mkdir -p "$to/conformance"
        cp -rL "$folder" "$to/conformance/$n"
    done
    if [ -d "${VOXGRAD_DATA:-}/cifar2" ] && [[ ,$without, != *,data,* ]]; then
        mkdir -p "$to/data"
        cp -rL "$VOXGRAD_DATA/cifar2" "$to/data/cifar2"
    fi
    if [[ ,$without, != *,nvrtc,* ]]; then
        mkdir -p "$to/nvrtc"
        cp "$(dirname "$(scripts/nvrtc.sh)")"/libnvrtc*.so* "$to/nvrtc"
    fi
    chmod -R u+w "$to"
    {
        echo "commit: $(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo ', with changes')"
        echo "built by: $(rustc --version), glibc $(ldd --version | sed -n '1s/.* //p')"
    } >"$to/built.txt"
    cp scripts/gpu.sh "$to/gpu.sh"
    echo "$(find "$to/tests.d" -type f | wc -l) test programs and what they need, $(du -sh "$to" | cut -f 1)"
}

# One file of a folder.
pack() {
    tar -C "$1" --exclude ./run -cf - . | xz -T 0 -9 >"$1.tar.xz.new"
    mv "$1.tar.xz.new" "$1.tar.xz"
    echo "packed into $1.tar.xz, $(du -sh "$1.tar.xz" | cut -f 1)"
}

unpack() {
    local from to=${1%.tar.xz}
    from=$(realpath "$1")
    [ ! -e "$to" ] || [ -e "$to/built.txt" ] || fail "$to is there, and no folder of $0 --build"
    rm -rf "$to"
    mkdir -p "$to"
    if command -v xz >/dev/null; then
        tar -C "$to" -xJf "$from"
    else
        "${PYTHON:-python3}" -c 'import sys, tarfile
tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$from" "$to"
    fi
}

# --- what --run does ---------------------------------------------------------------------------------

left() { echo $((limit - SECONDS)); }

# Notes what is not done.
leave_out() {
    echo "left out: $*"
    echo "$*" >>"$work/left_out.txt"
}

# The folder of an NVRTC: ours, or the one that came with PyTorch.
find_nvrtc() {
    local folder
    local pythons='import nvidia
for path in nvidia.__path__:
    print(f"{path}/cu13/lib", f"{path}/cuda_nvrtc/lib")'
    for folder in "$dir/nvrtc" $("$python" -c "$pythons" 2>/dev/null); do
        if [ -n "$(ls "$folder"/libnvrtc.so* 2>/dev/null)" ]; then
            echo "$folder"
            return
        fi
    done
}

about() {
    local query='' number=${device#cuda} card driver memory capability cuda
    number=${number#:}
    if [[ $device == cuda* ]] && command -v nvidia-smi >/dev/null; then
        query=$(nvidia-smi -i "${number:-0}" --query-gpu=name,driver_version,memory.total,compute_cap \
            --format=csv,noheader || true)
    fi
    IFS=, read -r card driver memory capability <<<"$query" || true
    cuda=$(nvidia-smi 2>/dev/null | sed -n 's/.*CUDA Version: *\([0-9.]*\).*/\1/p' || true)
    echo "card: ${card:-$device}"
    [ -z "$driver" ] || echo "driver:$driver, for CUDA ${cuda:-unknown}"
    [ -z "$memory" ] || echo "memory:$memory"
    [ -z "$capability" ] || echo "compute capability:$capability"
    [ -z "$nvrtc" ] || echo "NVRTC: $(ls "$nvrtc" | sed -n 's/^libnvrtc-builtins\.so\.//p' | sed -n 1p)"
    local processor
    processor=$(sed -n '/^model name/{s/.*: //p;q}' /proc/cpuinfo)
    echo "processor: ${processor:-$(uname -m)}, $(getconf _NPROCESSORS_ONLN) threads"
    echo "date: $(date -u +%Y-%m-%d)"
    cat "$dir/built.txt"
}

# Runs every test program for at most $1 seconds in all.
tests() {
    local until=$((SECONDS + $1)) seconds code outcome file package name log start passed failed late=''
    {
        for name in $on_gpu; do echo "$dir/tests.d/$name"; done
        find "$dir/tests.d" -type f | sort
    } | sed 's,/\./,/,' | awk '!seen[$0]++' >"$work/programs"
    while read -r file; do
        name=${file#"$dir/tests.d/"}
        package=$(dirname "$name")
        [ "$package" != . ] || name=voxgrad/$name
        seconds=$((until - SECONDS))
        if [ $seconds -lt 2 ]; then
            late="$late $name"
            continue
        fi
        log=$work/logs/${name//\//-}.log
        start=$(date +%s.%N)
        code=0
        (cd "$dir/files/$package" && timeout -k 5 $seconds "$file") >"$log" 2>&1 </dev/null || code=$?
        case $code in
        0) outcome=passed ;;
        124 | 137) outcome="stopped after $seconds s" ;;
        *) outcome=failed ;;
        esac
        # test result: ok. 12 passed; 0 failed; ...
        read -r passed failed <<<"$(awk '/^test result: / {p += $4; f += $6} END {print p + 0, f + 0}' "$log")"
        printf '%s\t%s\t%s\t%s\t%.1f\n' "$name" "$outcome" "$passed" "$failed" \
            "$(echo "$(date +%s.%N) $start" | awk '{print $1 - $2}')" | tee -a "$work/tests.tsv"
        grep '^skipped, needs' "$log" | sort -u | sed 's/^/    /' || true
        [ "$outcome" = passed ] || tail -n 40 "$log"
    done <"$work/programs"
    [ -z "$late" ] || leave_out "tests, for the time was up:$late"
    leave_out "examples in the documentation: they are compiled when they are run, so they need Rust"
}

# One bench program for at most $2 seconds: so much to warm up, so much to measure each of its rows.
bench() {
    local code=0 seconds=$2
    if [ "$seconds" -lt 5 ]; then
        leave_out "benches of $1: the time was up"
        return
    fi
    VOXGRAD_BENCH_DEVICE=$device CRITERION_HOME=$work/criterion timeout -k 5 "$seconds" \
        "$dir/benches.d/$1" --bench --noplot --sample-size 10 --nresamples 1000 \
        --warm-up-time "$3" --measurement-time "$4" >"$work/logs/bench-$1.log" 2>&1 </dev/null || code=$?
    case $code in
    0) ;;
    124 | 137) leave_out "benches of $1 after the first $seconds s: the time was up" ;;
    *)
        leave_out "benches of $1: they failed"
        tail -n 20 "$work/logs/bench-$1.log"
        ;;
    esac
    grep -h '^host, ' "$work/logs/bench-$1.log" | tee -a "$work/about.txt" || true
    grep -h '^not captured' "$work/logs/bench-$1.log" >>"$work/left_out.txt" || true
}

# The same work in PyTorch for at most $1 seconds.
torch() {
    if ! "$python" -c 'import torch' 2>/dev/null; then
        leave_out "PyTorch: $python has none"
        return
    fi
    if [ "$1" -lt 20 ]; then
        leave_out "PyTorch: the time was up"
        return
    fi
    local code=0
    LD_LIBRARY_PATH=$library_path timeout -k 5 "$1" "$python" -B "$dir/files/benches/peers/torch_gpu.py" \
        --device "${device%:*}" --seconds $(($1 - 15)) --out "$work/torch.json" \
        >"$work/logs/torch.log" 2>&1 </dev/null || code=$?
    if [ $code -ne 0 ]; then
        leave_out "PyTorch: it stopped with code $code, $(tail -n 1 "$work/logs/torch.log")"
    fi
}

report() {
    "$dir/benches.d/report" "$work" "$out" || echo "gpu.sh: the table could not be written" >&2
}

measure() {
    dir=$(realpath "$1")
    [ -s "$dir/built.txt" ] || fail "$1 is not a folder that $0 --build has finished"
    work=$dir/run
    rm -rf "$work"
    mkdir -p "$work/logs"
    python=${PYTHON:-python3}
    library_path=${LD_LIBRARY_PATH:-}
    nvrtc=$(find_nvrtc)
    # Behind what the user has set: a simulated GPU, say, has a compiler of its own.
    export LD_LIBRARY_PATH=$library_path${library_path:+${nvrtc:+:}}$nvrtc
    export VOXGRAD_CUDA_CACHE=$work/cache VOXGRAD_EXAMPLES=$dir/examples NODEVICE_SELECT=1

    local devices require=cpu
    devices=$("$dir/examples/devices")
    if [ "$device" != cpu ]; then
        grep -q '^cuda  *is ' <<<"$devices" || fail "$(sed -n 's/^cuda  *//p' <<<"$devices")"
        require=$require,cuda
    fi
    if grep -q '^wgpu:' <<<"$devices"; then
        require=$require,wgpu
    else
        local missing=loader
        [[ $(ldconfig -p 2>/dev/null) != *libvulkan.so.1* ]] || missing=driver
        leave_out "wgpu: there is no Vulkan $missing"
    fi
    if [ -n "$nvrtc" ]; then
        VOXGRAD_NVRTC=$(ls "$nvrtc"/libnvrtc.so* | sed -n 1p)
        export VOXGRAD_NVRTC VOXGRAD_NVRTC_TABLE=$work/kernels.md
        require=$require,nvrtc
    fi
    if [ -d "$dir/data" ]; then
        export VOXGRAD_DATA=$dir/data
        require=$require,data
    fi
    if [ -d "$dir/conformance" ]; then
        VOXGRAD_CONFORMANCE=$(find "$dir/conformance" -mindepth 1 -maxdepth 1 | sort | paste -sd :)
        export VOXGRAD_CONFORMANCE
        require=$require,conformance
    fi
    export VOXGRAD_REQUIRE=$require
    about >"$work/about.txt"
    echo "tests: VOXGRAD_REQUIRE=$require" >>"$work/about.txt"
    cat "$work/about.txt"
    if [ -z "$out" ]; then
        local results=$here/../benches/results
        [ -d "$results" ] || results=.
        out=$(sed -n 's/^card: //p' "$work/about.txt" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9.-')
        out=$results/$out-$(date -u +%F)
    fi
    out=$(realpath -m "${out%.md}")
    mkdir -p "$(dirname "$out")"

    # The table is written after each part: whatever happens next, what was finished is in it.
    tests 240
    report
    bench train_step $(($(left) < 200 ? 20 : 40)) 0.1 0.3
    local for_torch=120
    "$python" -c 'import torch' 2>/dev/null || for_torch=0
    bench ops $(($(left) - for_torch - 10)) 0.05 0.1
    report
    torch $(($(left) - 5))
    report
    echo "$out.md, after $SECONDS s"
    [ -e "$out.md" ] && ! grep -qv $'\tpassed\t' "$work/tests.tsv"
}

if [ -n "$build" ]; then
    (collect "${build%.tar.xz}")
    [ "$build" = "${build%.tar.xz}" ] || pack "${build%.tar.xz}"
    [ -n "$run" ] || echo "on a machine with a GPU: gpu.sh --run $build"
    SECONDS=0
fi
if [ -n "$run" ]; then
    [ "$run" = "${run%.tar.xz}" ] || unpack "$run"
    measure "${run%.tar.xz}"
fi
