"""Writes the files that the tests of PyTorch checkpoints read: python make.py

Made with PyTorch 2.15. Values are small whole numbers where they can be, so that the tests can spell them out.
"""

import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

OUT = Path(__file__).parent / "files"
OUT.mkdir(exist_ok=True)


def save(value, name, **options):
    torch.save(value, OUT / name, **options)


def arange(*shape, dtype=torch.float32):
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


class Layers(nn.Module):
    """A module whose state dict has parameters, buffers and a counter."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)
        self.bn = nn.BatchNorm1d(2)
        with torch.no_grad():
            self.fc.weight.copy_(arange(2, 3))
            self.fc.bias.copy_(arange(2) - 1)
            self.bn.num_batches_tracked += 7

    def forward(self, x):
        return self.bn(self.fc(x))


class Net(nn.Module):
    """The book's baseline, chapter 8."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(16, 8, kernel_size=3, padding=1)
        self.fc1 = nn.Linear(8 * 8 * 8, 32)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        out = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        out = F.max_pool2d(torch.tanh(self.conv2(out)), 2)
        out = out.view(-1, 8 * 8 * 8)
        return self.fc2(torch.tanh(self.fc1(out)))


def state_dicts():
    layers = Layers()
    save(layers.state_dict(), "layers.pt")
    for protocol in (3, 4, 5):
        save(layers.state_dict(), f"protocol{protocol}.pt", pickle_protocol=protocol)

    floats = torch.tensor([0.5, -2.0, float("inf"), float("nan")])
    whole = torch.tensor([0, 1, 100])
    types = {"f64": floats.double(), "f32": floats, "f16": floats.half(), "bf16": floats.bfloat16()}
    for name, dtype in [("i64", torch.int64), ("i32", torch.int32), ("i16", torch.int16), ("i8", torch.int8),
                        ("u8", torch.uint8), ("bool", torch.bool)]:
        types[name] = whole.to(dtype)
    save(types, "types.pt")

    grid = arange(3, 4)
    save(OrderedDict(
        grid=grid,
        same=grid,
        transposed=grid.t(),
        column=grid[:, 1],
        every_other=grid[::2, ::2],
        expanded=torch.tensor([[5.0], [6.0]]).expand(2, 3),
        parameter=nn.Parameter(grid[1:, 2:]),
        scalar=torch.tensor(9.0),
        empty=torch.zeros(0, 3),
        channels_last=arange(1, 2, 2, 2).to(memory_format=torch.channels_last),
    ), "views.pt")

    # The state of a training: a state dict inside, and an optimizer's with lists and numbered keys.
    optimizer = torch.optim.SGD(layers.parameters(), lr=0.5, momentum=0.9)
    layers(arange(4, 3)).sum().backward()
    optimizer.step()
    save({"epoch": 3, "loss": 0.25, "name": "layers", "best": None,
          "model": layers.state_dict(), "optimizer": optimizer.state_dict()}, "training.pt")


def refused():
    save(Layers(), "model.pt")
    save(Layers().state_dict(), "old.pt", _use_new_zipfile_serialization=False)
    save_script(torch.jit.script(nn.Linear(1, 1)), "script.pt")
    save(torch.ones(2), "tensor.pt")
    save({"w": torch.ones(2, dtype=torch.complex64)}, "complex.pt")
    save({"w": torch.ones(2, dtype=torch.complex64).conj().imag}, "negated.pt")
    save({"w": torch.eye(2).to_sparse()}, "sparse.pt")
    save({"w": torch.tensor([-1])}, "negative.pt")


def save_script(module, name):
    """Without the debug information, which names places on this machine."""
    module.save(OUT / name)
    with zipfile.ZipFile(OUT / name) as archive:
        files = [(info, archive.read(info)) for info in archive.infolist() if "debug_pkl" not in info.filename]
    with zipfile.ZipFile(OUT / name, "w") as archive:
        for info, data in files:
            info.extra = b""
            archive.writestr(info, data)


def net():
    """Random weights, larger than the usual first ones, and the logits of two images made by a formula."""
    torch.manual_seed(8)
    model = Net()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        images = (torch.arange(2 * 3 * 32 * 32) * 37 % 251).float().reshape(2, 3, 32, 32) / 128 - 1
        logits = model(images)
    save(model.state_dict(), "net.pt")
    save({"logits": logits}, "net_logits.pt")


torch.manual_seed(0)
state_dicts()
refused()
net()
