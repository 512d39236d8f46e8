"""The training steps that run_cpu.py times, and the file that every contestant reads one from.

A step is forward, loss, zero_grad, backward, optimizer step, and the loss read back; its data lies in memory. The
optimizer is that of the lesson. Needs PyTorch for `write` alone.
"""

import json
import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    net: str
    """As `network` and the Rust programs take it."""
    batch: int
    image: tuple = (3, 32, 32)
    classes: int = 2
    optimizer: str = "sgd"
    lr: float = 1e-2
    momentum: float = 0.0
    l2: float = 0.0
    target: float = 0.3
    """At most so many times the fastest peer's time is wanted."""
    compared_lr: float | None = None
    """The learning rate for comparing losses, where the lesson's makes chaos of rounding."""

    @property
    def name(self):
        return f"{self.net}, batch {self.batch}"

    def load(self, file):
        """The line that has a contestant load it (rust/src/serve.rs)."""
        return f"load {self.net} {file} {self.optimizer} {self.lr} {self.momentum} {self.l2}"


def deep(blocks, batch=64, target=0.0):
    return Step(f"res-deep-{blocks}", batch, lr=3e-3, target=target)


CROP = dict(image=(1, 32, 48, 48), lr=1e-3, momentum=0.99, target=0.6, compared_lr=1e-5)
STEPS = [
    Step("baseline", 64),
    Step("width", 64),
    Step("l2", 64, l2=1e-3),
    Step("dropout", 64),
    Step("batch-norm", 64),
    Step("depth", 64),
    Step("res", 64),
    deep(10, target=0.7),
    deep(100, target=0.85),
    Step("mnist", 100, (1, 28, 28), 10, "adam", 1e-3, target=0.5),
    Step("cifar10", 128, (3, 32, 32), 10, "adam", 1e-3, target=0.95),
    Step("luna", 4, **CROP),
    Step("luna", 32, **CROP),
]


def network(name):
    """The PyTorch module, with fresh initial values."""
    from nets import NETS, ResDeep

    if name.startswith("res-deep-"):
        return ResDeep(int(name.removeprefix("res-deep-")))
    # L2 is the baseline with another loss.
    return NETS["baseline" if name == "l2" else name]()


def write(step, path):
    """Writes the start of `step` as safetensors: data, then the parameters, w000, w001, ..., in PyTorch's order."""
    import torch

    torch.manual_seed(0)
    parameters = [parameter.detach() for parameter in network(step.net).parameters()]
    labels = torch.randint(step.classes, [step.batch])
    # Noise alone would say nothing of the classes, and training on it could only learn by heart.
    images = torch.randn(step.batch, *step.image) + patterns(torch, step)[labels]
    arrays = {"images": ("F32", images), "labels": ("U32", labels.int())}
    arrays |= {f"w{i:03}": ("F32", parameter) for i, parameter in enumerate(parameters)}
    header, offset = {}, 0
    for name, (dtype, tensor) in arrays.items():
        end = offset + 4 * tensor.numel()
        header[name] = dict(dtype=dtype, shape=list(tensor.shape), data_offsets=[offset, end])
        offset = end
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in arrays.values():
            file.write(tensor.contiguous().numpy().tobytes())


def patterns(torch, step):
    """An image for each class: noise of few pixels, made larger."""
    small = torch.randn(step.classes, step.image[0], *[size // 4 for size in step.image[1:]])
    return torch.nn.functional.interpolate(small, scale_factor=4)


def read(path):
    """Images, labels and parameters of such a file, as PyTorch's tensors."""
    import torch

    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        dtype = torch.float32 if entry["dtype"] == "F32" else torch.int32
        flat = torch.frombuffer(data, dtype=dtype, count=(last - first) // 4, offset=first)
        tensors[name] = flat.reshape(entry["shape"]).clone()
    images, labels = tensors.pop("images"), tensors.pop("labels").long()
    return images, labels, [tensors[name] for name in sorted(tensors)]
