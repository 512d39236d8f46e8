"""Writes what PyTorch's affine_grid and grid_sample make of a few volumes: python make.py

Made with PyTorch 2.15. A volume is not written down: voxel number i is (i * 7919 % 1009) / 504.5 - 1.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F


def transform(scales, offsets, angle):
    """The matrix of the chapter: mirrors, scales and moves of x, y and z, times a turn in the x-y plane."""
    matrix = torch.eye(4, dtype=torch.float64)
    for axis in range(3):
        matrix[axis, axis] = scales[axis]
        matrix[axis, 3] = offsets[axis]
    s, c = math.sin(angle), math.cos(angle)
    turn = [[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    return matrix @ torch.tensor(turn, dtype=torch.float64)


def case(size, scales, offsets, angle, every=1):
    depth, height, width = size
    i = torch.arange(depth * height * width)
    volume = ((i * 7919 % 1009).double() / 504.5 - 1).reshape(1, 1, *size)
    matrix = transform(scales, offsets, angle)[:3].unsqueeze(0)
    grid = F.affine_grid(matrix, volume.shape, align_corners=False)
    sampled = F.grid_sample(volume, grid, padding_mode="border", align_corners=False).flatten()
    return {
        "size": size,
        "scales": scales,
        "offsets": offsets,
        "angle": angle,
        "matrix": [round(x, 9) for x in matrix.flatten().tolist()],
        "every": every,
        "sampled": [round(x, 7) for x in sampled[::every].tolist()],
    }


cases = [
    case([3, 4, 5], [1, 1, 1], [0, 0, 0], 0),
    case([3, 4, 5], [-1, 1, -1], [0, 0, 0], 0),
    case([3, 4, 5], [1, 1, 1], [0.1, -0.3, 0.25], 0),
    case([3, 4, 5], [0.8, 1.2, -1.1], [0, 0, 0], 0),
    case([2, 6, 6], [1, 1, 1], [0, 0, 0], 1.0),
    case([4, 6, 5], [-0.9, 1.15, 1.05], [0.07, -0.04, 0.1], 4.4),
    case([32, 48, 48], [1.13, -0.88, 0.93], [-0.06, 0.09, 0.02], 2.5, every=1499),
]
lines = ",\n".join(json.dumps(case) for case in cases)
(Path(__file__).parent / "pytorch.json").write_text(f"[\n{lines}\n]\n")
