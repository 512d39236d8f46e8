"""Reads with SimpleITK what voxgrad has written: pip install SimpleITK; python check.py

files/voxgrad_NAME is NAME, read and written again (the test what_voxgrad_writes_is_what_check_py_reads keeps it
so). The same for other pairs of scans: python check.py THEIRS OURS ..
"""

import sys
from pathlib import Path

import numpy as np
import SimpleITK as sitk

FILES = Path(__file__).parent / "files"
PAIRS = [("turned.mhd",) * 2, ("cyclic.mhd",) * 2, ("turned_float.mha",) * 2, ("msb.mhd", "msb.mha")]

pairs = [(FILES / theirs, FILES / f"voxgrad_{ours}") for theirs, ours in PAIRS]
pairs += zip(sys.argv[1::2], sys.argv[2::2])
for pair in pairs:
    theirs, ours = map(sitk.ReadImage, pair)
    assert theirs.GetPixelID() == ours.GetPixelID(), pair
    assert np.array_equal(sitk.GetArrayViewFromImage(theirs), sitk.GetArrayViewFromImage(ours)), pair
    for get in (sitk.Image.GetOrigin, sitk.Image.GetSpacing, sitk.Image.GetDirection):
        assert get(theirs) == get(ours), pair
    corner = [n - 1 for n in theirs.GetSize()]
    assert theirs.TransformIndexToPhysicalPoint(corner) == ours.TransformIndexToPhysicalPoint(corner), pair
    print(f"{pair[1]}: {ours.GetSize()} of {ours.GetPixelIDTypeAsString()}, as in {pair[0]}")
