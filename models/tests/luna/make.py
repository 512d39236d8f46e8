"""Writes the scans that the tests read, and what SimpleITK reads in them: pip install SimpleITK; python make.py

Made with SimpleITK 2.5.7. files/expected.json holds each file's voxels and geometry, the places of some of
its voxels and the voxels of some places, as SimpleITK gives them.
"""

import json
import os
from pathlib import Path

import numpy as np
import SimpleITK as sitk

FILES = Path(__file__).parent / "files"
FILES.mkdir(exist_ok=True)
os.chdir(FILES)
RNG = np.random.default_rng(0)

MIRRORED = [-1, 0, 0, 0, -1, 0, 0, 0, 1]
CYCLIC = [0, 0, 1, 1, 0, 0, 0, 1, 0]


def turned(a, b, c):
    """Turned about x by a, then about y by b, then about z by c."""
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return list((z @ y @ x).ravel())


def image(dtype, direction=None, spacing=(0.703125, 0.75, 2.5), origin=(-106.9375, -78.887497, -282.5)):
    """A volume of 3 slices, 4 rows and 5 columns."""
    if np.dtype(dtype).kind == "f":
        voxels = RNG.normal(-500, 500, (3, 4, 5)).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        voxels = RNG.integers(limits.min, limits.max, (3, 4, 5), dtype=dtype, endpoint=True)
    made = sitk.GetImageFromArray(voxels)
    made.SetSpacing(spacing)
    made.SetOrigin(origin)
    if direction:
        made.SetDirection(direction)
    return made


def rewrite(name, header, data, changes=(), extra=b""):
    """A file with the header of `header` but for `changes`, and these bytes of voxels."""
    text = Path(header).read_text()
    for old, new in changes:
        assert old in text, (old, text)
        text = text.replace(old, new)
    if "ElementDataFile = LOCAL" in text:
        Path(name).write_bytes(text.encode() + extra + data)
    else:
        raw = Path(name).with_suffix(".raw")
        Path(name).write_text(text.replace(Path(header).with_suffix(".raw").name, raw.name))
        raw.write_bytes(extra + data)


TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "longlong": "i8",
    "ulonglong": "u8",
    "float": "f4",
    "double": "f8",
}
for name, dtype in TYPES.items():
    sitk.WriteImage(image(dtype), f"{name}.mha")

sitk.WriteImage(image("i2"), "identity.mhd")
sitk.WriteImage(image("i2", MIRRORED), "mirrored.mhd")
sitk.WriteImage(image("u2", CYCLIC), "cyclic.mhd", True)
with_words = image("i2", turned(0.3, -0.5, 1.2), spacing=(0.1, 0.2, 1 / 3))
with_words.SetMetaData("Modality", "MET_MOD_CT")
with_words.SetMetaData("PatientName", "a name: with = signs")
sitk.WriteImage(with_words, "turned.mhd", True)
sitk.WriteImage(image("f4", turned(2, 1, -1)), "turned_float.mha", True)

voxels = Path("identity.raw").read_bytes()
swapped = np.frombuffer(voxels, "<i2").astype(">i2").tobytes()
local = ("ElementDataFile = identity.raw", "ElementDataFile = LOCAL")
rewrite("msb.mhd", "identity.mhd", swapped, [("MSB = False", "MSB = True")])
doubles = sitk.GetArrayFromImage(sitk.ReadImage("double.mha"))
text = Path("double.mha").read_bytes().split(b"LOCAL\n")[0] + b"LOCAL\n"
Path("msb_double.mha").write_bytes(text.replace(b"MSB = False", b"MSB = True") + doubles.astype(">f8").tobytes())
rewrite(
    "other_words.mhd",
    "mirrored.mhd",
    Path("mirrored.raw").read_bytes(),
    [
        ("Offset", "Position"),
        ("TransformMatrix", "Orientation"),
        ("ElementSpacing", "ElementSize"),
        ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"),
        ("CenterOfRotation = 0 0 0", "CenterOfRotation = 5 6 7"),
        ("AnatomicalOrientation = LPI", "AnatomicalOrientation = RAS"),
        ("NDims = 3", "NDims: 3"),
    ],
)
rewrite(
    "still_other_words.mhd",
    "mirrored.mhd",
    Path("mirrored.raw").read_bytes(),
    [
        ("Offset", "Origin"),
        ("TransformMatrix", "Rotation"),
        ("ElementSpacing", "ElementSize = 9 9 9\nElementSpacing"),
        ("\n", "\r\n"),
    ],
)
head = ("ElementDataFile", "HeaderSize = 12\nElementDataFile")
rewrite("header_size.mhd", "identity.mhd", voxels, [head], b"twelve bytes")
end = ("ElementDataFile", "HeaderSize = -1\nElementDataFile")
rewrite("at_the_end.mhd", "identity.mhd", voxels, [end], b"some bytes")
rewrite("at_the_end_local.mha", "identity.mhd", voxels, [end, local], b"some bytes")
text = Path("int.mha").read_bytes()
Path("long.mha").write_bytes(text.replace(b"MET_INT", b"MET_LONG"))

expected = []
for path in sorted([*Path(".").glob("*.mhd"), *Path(".").glob("*.mha")]):
    if path.name.startswith("voxgrad"):
        continue
    made = sitk.ReadImage(path)
    cris = [(0, 0, 0), (4, 3, 2), (1, 2, 0), (-3, 10, 1), (7, -2, 40)]
    places = RNG.uniform(-20, 20, (5, 3)) + made.GetOrigin()
    expected.append(
        {
            "file": path.name,
            "size": made.GetSize()[::-1],
            "origin": made.GetOrigin(),
            "spacing": made.GetSpacing(),
            "direction": made.GetDirection(),
            "voxels": sitk.GetArrayFromImage(made).ravel().tolist(),
            "xyz_of_cri": [[cri, made.TransformIndexToPhysicalPoint(cri)] for cri in cris],
            "cri_of_xyz": [[list(xyz), made.TransformPhysicalPointToContinuousIndex(xyz)] for xyz in places],
        }
    )
Path("expected.json").write_text("[\n" + ",\n".join(json.dumps(file) for file in expected) + "\n]\n")
print(f"{len(expected)} files")
