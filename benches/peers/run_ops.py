#!/usr/bin/env python3
"""Each op alone on the processor: its fastest rung beside what the machine can do, and PyTorch.

    python3 benches/peers/run_ops.py                 into benches/results/cpu-ops.md
    python3 benches/peers/run_ops.py --only conv3d   the kernels whose names hold this, printed

One command does all: it builds the kernel lab and asks it for every kernel and shape. --python names a Python with
PyTorch; without one PyTorch's column is empty.
"""

import argparse
import datetime
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from page import table
from setup_cpu import ROOT, cargo, processor

# What is wanted of the limit: of the multiply-add rate, or of what copying moves.
CONV = ["conv2d", "conv2d_backward_input", "conv2d_backward_weight"]
FLAT = [((64, c, size, size), (c, c, 3, 3), wanted) for c, size, wanted in [
    (8, 32, 50), (16, 32, 50), (32, 32, 50), (128, 16, 75),
]]
DEEP = [((4, c, depth, size, size), (c, c, 3, 3, 3), wanted) for c, depth, size, wanted in [
    (8, 32, 48, 50), (16, 16, 24, 50), (32, 8, 12, 50), (128, 8, 12, 75),
]]
MEMORY = ["relu", "relu_backward", "tanh", "tanh_backward", "max_pool", "max_pool_backward", "avg_pool",
          "batch_norm_statistics", "batch_norm", "batch_norm_backward", "dropout", "softmax", "softmax_backward", "sum"]
LARGE = (64, 64, 64, 64)


def cases():
    """Kernel, shapes, and the share of the limit that is wanted, in percent."""
    for kernel in CONV:
        yield from ((kernel, shapes, wanted) for *shapes, wanted in FLAT)
    for kernel in CONV:
        yield from ((kernel.replace("2d", "3d"), shapes, wanted) for *shapes, wanted in DEEP)
    yield "matmul", [(1024, 1024), (1024, 1024)], 85
    for kernel in MEMORY:
        yield kernel, [LARGE], 90


ROW = re.compile(r"^(\d+ .+?|PyTorch)\s+([\d.]+) (us|ms|s)\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)%")
UNITS = dict(us=1e-3, ms=1.0, s=1e3)


def ask(lab, kernel, shapes, environment, folder):
    """The top rung's and PyTorch's lines of the lab's table: name, ms, GFLOP/s, GB/s, percent of the limit."""
    words = [",".join(map(str, shape)) for shape in shapes]
    command = [lab, kernel, "--against", "torch", "--out", folder, "--shape", *words]
    if kernel.startswith(("conv", "matmul")):
        command += ["--rung", "3"]  # the plain rung would take most of the time
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1], None
    rows = [match.groups() for match in map(ROW.match, done.stdout.splitlines()) if match]
    number = lambda row: (row[0], float(row[1]) * UNITS[row[2]], *map(float, row[3:]))
    ours = [number(row) for row in rows if row[0] != "PyTorch"]
    torch = [number(row) for row in rows if row[0] == "PyTorch"]
    return (ours[-1], torch[0] if torch else None) if ours else ("no row", None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="a Python with PyTorch")
    parser.add_argument("--only", default="", help="the kernels whose names hold this")
    chosen = parser.parse_args()
    lab = cargo(["--no-default-features", "--example", "kernel_lab"], ROOT)["kernel_lab"]
    environment = {**os.environ, "VOXGRAD_PYTHON": chosen.python}
    folder, began, rows, missed = ROOT / "target" / "peers" / "lab", time.monotonic(), [], 0
    wanted = [case for case in cases() if chosen.only in case[0]]
    for n, (kernel, shapes, share) in enumerate(wanted):
        ours, torch = ask(lab, kernel, shapes, environment, folder)
        name = " by ".join("x".join(map(str, shape)) for shape in shapes)
        if isinstance(ours, str):
            rows.append([kernel, name, ours, "", "", "", "", ""])
        else:
            met = ours[4] >= share
            missed += not met
            times = [f"{ours[1]:.3g}", f"{torch[1]:.3g}" if torch else "", f"{ours[1] / torch[1]:.2f}" if torch else ""]
            rate = f"{ours[2]:.0f} GFLOP/s" if kernel.startswith(("conv", "matmul")) else f"{ours[3]:.1f} GB/s"
            rows.append([kernel, name, *times, rate, f"{ours[4]:.0f}%", f"{share}%" + " missed" * (not met)])
        left = (time.monotonic() - began) / (n + 1) * (len(wanted) - n - 1)
        print(f"[{n + 1}/{len(wanted)}] {' '.join(map(str, rows[-1]))}, about {left:.0f} s left", flush=True)
    header = ["kernel", "shapes", "ms", "PyTorch's ms", "ratio", "rate", "of the limit", "wanted"]
    lines = ["# Ops alone on the CPU, beside the machine's limits and PyTorch", ""]
    lines += [f"- {datetime.date.today()}, {processor()}, {len(os.sched_getaffinity(0))} threads"]
    lines += ["- `python3 benches/peers/run_ops.py`: the kernel lab's fastest rung, and PyTorch's layout as it comes (eager)"]
    lines += ["- the limit of a row is the lower of the multiply-add rate and what copying the same number of bytes takes,"]
    lines += ["  both measured a moment before it; `kernel_lab KERNEL --shape ..` shows one with its rungs"]
    lines += [f"- missed: {missed} of {len(rows)}", "", *table(header, rows)]
    if chosen.only:
        print("\n".join(lines))
    else:
        path = ROOT / "benches" / "results" / "cpu-ops.md"
        path.write_text("\n".join(lines).rstrip() + "\n")
        print(f"Written: {path}")


if __name__ == "__main__":
    main()
