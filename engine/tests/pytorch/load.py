"""Reads with PyTorch what voxgrad has written: pip install torch safetensors numpy; python load.py

files/layers.safetensors holds the tensors of files/layers.pt, as voxgrad wrote them (the test
what_voxgrad_writes_is_what_load_py_reads keeps it so). Also reads other files: python load.py FILE..
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

FILES = Path(__file__).parent / "files"

ours = load_file(FILES / "layers.safetensors")
theirs = torch.load(FILES / "layers.pt", weights_only=True)
assert ours.keys() == theirs.keys(), (ours.keys(), theirs.keys())
for name, tensor in theirs.items():
    assert ours[name].dtype == tensor.dtype and torch.equal(ours[name], tensor), name
print(f"layers.safetensors: {len(ours)} tensors, the same as in layers.pt")

for file in sys.argv[1:]:
    print(file)
    for name, tensor in load_file(file).items():
        print(f"  {name} {list(tensor.shape)} {tensor.dtype}")
