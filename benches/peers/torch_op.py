"""Times one expression in PyTorch on the CPU, for `cargo run --release --example kernel_lab -- OP --against torch`.

Prints a line of JSON: the median in seconds, PyTorch's version, its threads.
"""

import argparse
import json
import statistics
import time

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--expression", required=True, help="of the tensors t, with torch and F, its functions")
parser.add_argument("--shapes", required=True, help="of the tensors, as a list of lists")
parser.add_argument("--seconds", type=float, default=1.0, help="how long to measure")
arguments = parser.parse_args()

import torch
import torch.nn.functional as F

t = [torch.rand(shape) * 2 - 1 for shape in json.loads(arguments.shapes)]
run = eval(f"lambda: {arguments.expression}")
samples = []
with torch.no_grad():
    for _ in range(3):
        begin = time.perf_counter()
        run()
        once = time.perf_counter() - begin
    # A sample lasts half a millisecond at least, as in the lab.
    times = max(1, round(5e-4 / once))
    end = time.perf_counter() + arguments.seconds
    while len(samples) < 3 or time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(times):
            run()
        samples.append((time.perf_counter() - begin) / times)
print(json.dumps({
    "seconds": statistics.median(samples), "version": torch.__version__, "threads": torch.get_num_threads(),
}))
