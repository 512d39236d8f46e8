#!/usr/bin/env python3
"""Times in PyTorch what benches/ops.rs and benches/train_step.rs time in voxgrad.

    python3 benches/peers/torch_gpu.py --out torch.json     on the first GPU, for at most two minutes
    python3 benches/peers/torch_gpu.py --list               what is timed, without PyTorch

Four ways: eager; channels-last with cudnn.benchmark; compiled (torch.compile); a CUDA graph of the eager
work. Where there are products, each with TF32 off, which is what voxgrad computes in, and on. A time is the
median of several samples after a warm-up, each the time between two events on the device with many runs
between them: the host may be ahead of the device, as in a training. The most telling come first, and the
file is written again and again, so that whoever stops this program has what was measured until then.
"""

import argparse
import itertools
import json
import os
import re
import statistics
import sys
import time

from cases import NETWORKS, cases


class Clock:
    """Times work on a device: `warm` seconds of warm-up, then `samples` samples of `sample` seconds."""

    def __init__(self, torch, device, warm=0.02, samples=9, sample=0.005):
        self.torch, self.cuda = torch, device.type == "cuda"
        self.warm, self.samples, self.sample = warm, samples, sample

    def wait(self):
        if self.cuda:
            self.torch.cuda.synchronize()

    def run(self, step, n):
        """Seconds that one of `n` runs takes."""
        if not self.cuda:
            start = time.perf_counter()
            for _ in range(n):
                step()
            return (time.perf_counter() - start) / n
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(n):
            step()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000 / n

    def median(self, step):
        self.wait()
        start, n = time.perf_counter(), 0
        while n < 2 or time.perf_counter() - start < self.warm:
            step()
            self.wait()
            n += 1
        n = max(1, round(self.sample / self.run(step, 2)))
        return statistics.median(self.run(step, n) for _ in range(self.samples))


class Results:
    """What was measured until now, and what was not, in a file."""

    def __init__(self, torch, device, path, seconds):
        self.path, self.until = path, time.monotonic() + seconds
        cuda = device.type == "cuda"
        self.content = {
            "torch": torch.__version__,
            "cuda": torch.version.cuda if cuda else None,
            "cudnn": torch.backends.cudnn.version() if cuda else None,
            "device": torch.cuda.get_device_name() if cuda else "cpu",
            "rows": [],
            "left_out": [],
        }
        self.saved = 0.0

    def in_time(self):
        return time.monotonic() < self.until

    def add(self, way, tf32, group, function, what, seconds):
        row = dict(way=way, tf32=tf32, group=group, function=function, what=what, seconds=seconds)
        self.content["rows"].append(row)
        if time.monotonic() - self.saved > 1:
            self.save()

    def leave_out(self, what):
        print("left out: " + what, file=sys.stderr)
        self.content["left_out"].append(what)
        self.save()

    def save(self):
        with open(self.path + ".new", "w") as file:
            json.dump(self.content, file, indent=1)
        os.replace(self.path + ".new", self.path)
        self.saved = time.monotonic()


def prepared(torch, way, model):
    """A network or a function, compiled where that is the way."""
    if way != "compiled":
        return model
    torch._dynamo.reset()
    return torch.compile(model, dynamic=False)


def captured(torch, way, step):
    """What is timed: the step, or a CUDA graph of it, captured after a warm-up on another stream."""
    if way != "CUDA graph":
        return step
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def training(torch, device, clock, results, way, tf32, _):
    """A training step of every network: forward, loss, backward, SGD. And the forward pass alone."""
    from nets import NETS

    layout = torch.channels_last if way == "channels-last" else torch.contiguous_format
    for name, batch, parameters in NETWORKS:
        group = f"{name}, batch {batch}"
        if not results.in_time():
            return results.leave_out(f"training steps, {way}, from {group} on: the time was up")
        try:
            torch.manual_seed(0)
            net = NETS[name]().to(device, memory_format=layout).train()
            here = sum(parameter.numel() for parameter in net.parameters())
            assert here == parameters, f"it has {here} parameters, not {parameters}"
            images = torch.randn(batch, 3, 32, 32, device=device).contiguous(memory_format=layout)
            labels = torch.randint(2, [batch], device=device)
            optimizer = torch.optim.SGD(net.parameters(), lr=1e-2)
            model = prepared(torch, way, net)

            def forward():
                with torch.no_grad():
                    return model(images)

            def step():
                optimizer.zero_grad(set_to_none=True)
                torch.nn.functional.cross_entropy(model(images), labels).backward()
                optimizer.step()

            for function, run in [("training step", step), ("forward", forward)]:
                results.add(way, tf32, group, function, "", clock.median(captured(torch, way, run)))
        except Exception as error:
            results.leave_out(f"{group}, {way}: {first_line(error)}")


def ops(torch, device, clock, results, way, tf32, table):
    """Every row of the table of cases that `way` means something to, forward and with its backward pass."""
    for case in table:
        name = f"{case.op} ({case.what})"
        if tf32 and not case.products or way == "channels-last" and not case.images:
            continue
        if not results.in_time():
            return results.leave_out(f"ops, {way}{', TF32' * tf32}, from {name} on: the time was up")
        try:
            inputs = [x.tensor(torch, device) for x in case.inputs]
            if way == "channels-last":
                inputs = [channels_last(torch, x) for x in inputs]
            run = lambda: case.run(torch.nn.functional, torch, *inputs)
            run = prepared(torch, way, run)

            def forward():
                with torch.no_grad():
                    return run()

            measured = [("forward", forward)]
            if case.gradient:
                leaves = [x for x in inputs if x.requires_grad]
                upstream = torch.ones_like(forward())
                both = lambda: torch.autograd.grad(run(), leaves, upstream)
                measured.append(("forward and backward", both))
            for function, step in measured:
                seconds = clock.median(captured(torch, way, step))
                results.add(way, tf32, case.op, function, case.what, seconds)
        except Exception as error:
            results.leave_out(f"{name}, {way}: {first_line(error)}")


def channels_last(torch, x):
    layout = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.dim(), torch.contiguous_format)
    return x.detach().contiguous(memory_format=layout).requires_grad_(x.requires_grad)


def first_line(error):
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="print the table of cases, and the networks")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try this program out")
    parser.add_argument("--out", default="torch.json", help="where the times go")
    parser.add_argument("--seconds", type=float, default=120, help="how long it may take")
    parser.add_argument("--only", default="", help="a regular expression for the ops")
    parser.add_argument("--quick", action="store_true", help="run everything a few times only, to try it out")
    arguments = parser.parse_args()
    table = [case for case in cases() if re.search(arguments.only, case.op)]
    if arguments.list:
        for case in table:
            print(case.op, case.what, case.gradient, *[x.shape for x in case.inputs], sep="\t")
        for name, batch, parameters in NETWORKS:
            print("training step", f"{name}, batch {batch}", parameters, sep="\t")
        return

    start = time.monotonic()
    import torch

    device = torch.device(arguments.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        sys.exit(f"PyTorch {torch.__version__} sees no NVIDIA GPU")
    results = Results(torch, device, arguments.out, arguments.seconds - (time.monotonic() - start))
    clock = Clock(torch, device, warm=0, samples=1, sample=0) if arguments.quick else Clock(torch, device)
    # Compiling takes seconds for each row, so it comes last.
    for ways in [["eager", "channels-last", "CUDA graph"], ["compiled"]]:
        for work in [training, ops]:
            for way, tf32 in itertools.product(ways, [False, True]):
                if device.type == "cpu" and (tf32 or way == "CUDA graph"):
                    continue
                torch.backends.cuda.matmul.allow_tf32 = tf32
                torch.backends.cudnn.allow_tf32 = tf32
                torch.backends.cudnn.benchmark = way == "channels-last"
                work(torch, device, clock, results, way, tf32, table)
    results.save()


if __name__ == "__main__":
    main()
