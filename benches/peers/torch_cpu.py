#!/usr/bin/env python3
"""PyTorch's part in run_cpu.py: a contestant like those of rust/src/serve.rs, with the same questions and answers.

    python3 benches/peers/torch_cpu.py eager|channels-last|compiled
"""

import json
import os
import sys
import time

import torch
from steps import network, read


class Training:
    """A network with its data and what trains it; `way` is eager, channels-last or compiled."""

    def __init__(self, way, net, file, optimizer, lr, momentum, l2):
        self.images, self.labels, self.start = read(file)
        # PyTorch tells two and three dimensions apart.
        layout = {4: torch.channels_last, 5: torch.channels_last_3d}[self.images.dim()]
        layout = layout if way == "channels-last" else torch.contiguous_format
        self.images = self.images.contiguous(memory_format=layout)
        self.net = network(net).to(memory_format=layout).train()
        self.buffers = {name: buffer.clone() for name, buffer in self.net.named_buffers()}
        # The fused optimizers update all parameters in one pass; the default has one for each operation.
        if optimizer == "adam":
            self.new_optimizer = lambda: torch.optim.Adam(self.net.parameters(), lr, fused=True)
        else:
            self.new_optimizer = lambda: torch.optim.SGD(self.net.parameters(), lr, momentum, fused=True)

        def loss_of(images, labels):
            loss = torch.nn.functional.cross_entropy(self.net(images), labels)
            return loss + l2 * sum(p.square().sum() for p in self.net.parameters()) if l2 else loss

        self.loss_of = loss_of
        if way == "compiled":
            torch._dynamo.reset()
            self.loss_of = torch.compile(loss_of, dynamic=False)
            self.reset()
            self.step()

    @torch.no_grad()
    def reset(self):
        for parameter, start in zip(self.net.parameters(), self.start, strict=True):
            parameter.copy_(start)
        for name, buffer in self.net.named_buffers():
            buffer.copy_(self.buffers[name])
        self.optimizer = self.new_optimizer()

    def step(self):
        loss = self.loss_of(self.images, self.labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def run(self, steps):
        self.reset()
        seconds, losses, rss = [], [], []
        for _ in range(steps):
            start = time.perf_counter()
            losses.append(self.step())
            seconds.append(time.perf_counter() - start)
            rss.append(memory("VmRSS:"))
        return dict(seconds=seconds, losses=losses, rss=rss, held=0, peak=memory("VmHWM:"))

    def loaded(self):
        return dict(parameters=sum(p.numel() for p in self.net.parameters()), rss=memory("VmRSS:"))


def memory(name):
    """A figure of Linux about this process, in bytes; 0 elsewhere."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith(name)), 0)
    except OSError:
        return 0


def main():
    way = sys.argv[1]
    # Answers go out alone: what PyTorch and its compilers print goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    training = None
    for line in sys.stdin:
        try:
            match line.split():
                case ["load", net, file, optimizer, lr, momentum, l2]:
                    # The old one is gone before there is a new one.
                    training = None
                    numbers = float(lr), float(momentum), float(l2)
                    training = Training(way, net, file, optimizer, *numbers)
                    answer = training.loaded()
                case ["run", steps] if training:
                    answer = training.run(int(steps))
                case ["version"]:
                    answer = dict(version=torch.__version__)
                case _:
                    answer = dict(error=f"cannot do: {line.strip()}")
        except Exception as error:
            lines = str(error).strip().splitlines()
            answer = dict(error=f"{type(error).__name__}: {lines[0] if lines else ''}")
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
