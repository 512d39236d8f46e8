"""Reads runs with TensorBoard's own reader: pip install tensorboard; python read.py [FOLDER..]

Prints as JSON what TensorBoard has of each folder, by default of run/ beside this file: the scalars as
[step, value], the bars of histograms and the curves of the last step.
"""

import json
import sys
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
from tensorboard.plugins.pr_curve import metadata
from tensorboard.util.tensor_util import make_ndarray


def read(folder):
    run = EventAccumulator(str(folder), tensor_size_guidance={}).Reload()
    seen = {"scalars": {}, "histograms": {}, "pr_curves": {}}
    for tag in run.Tags()["tensors"]:
        plugin = run.SummaryMetadata(tag).plugin_data
        values = [(event.step, make_ndarray(event.tensor_proto)) for event in run.Tensors(tag)]
        step, last = values[-1]
        if plugin.plugin_name == "scalars":
            seen["scalars"][tag] = [[step, float(value)] for step, value in values]
        elif plugin.plugin_name == "histograms":
            seen["histograms"][tag] = [step, last.tolist()]
        elif plugin.plugin_name == metadata.PLUGIN_NAME:
            thresholds = metadata.parse_plugin_metadata(plugin.content).num_thresholds
            assert last.shape == (6, thresholds) and last.dtype == np.float32, (last.shape, last.dtype)
            seen["pr_curves"][tag] = [step, last.tolist()]
        else:
            raise ValueError(f"{tag}: {plugin.plugin_name}")
    return seen


for folder in sys.argv[1:] or [Path(__file__).parent / "run"]:
    print(json.dumps(read(folder)))
