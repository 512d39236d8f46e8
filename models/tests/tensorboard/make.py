"""Writes the event files that the tests compare ours with: pip install tensorboard; python make.py

Made with TensorBoard 2.21: its own messages, its own records. The times are fixed, so that the files are
always the same.
"""

from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary
from tensorboard.plugins.pr_curve import metadata
from tensorboard.summary.writer.record_writer import RecordWriter
from tensorboard.util.tensor_util import make_tensor_proto

RUN = Path(__file__).parent / "run"
RUN.mkdir(exist_ok=True)


def scalar(tag, value):
    return Summary.Value(tag=tag, simple_value=value)


def histogram(tag, values, edges):
    counts, _ = np.histogram(values, edges)
    inside = values[(edges[0] <= values) & (values <= edges[-1])]
    proto = HistogramProto(num=len(inside), sum=sum(inside.tolist()), sum_squares=sum((inside * inside).tolist()),
                           bucket_limit=edges[1:], bucket=counts)
    if len(inside):
        proto.min, proto.max = inside.min(), inside.max()
    return Summary.Value(tag=tag, histo=proto)


def pr_curve(tag, labels, probabilities, thresholds=127):
    called = np.floor(probabilities * (thresholds - 1)) >= np.arange(thresholds)[:, None]
    tp, fp = (called & labels).sum(1), (called & ~labels).sum(1)
    tn, fn = (~called & ~labels).sum(1), (~called & labels).sum(1)
    curve = np.stack([tp, fp, tn, fn, tp / np.maximum(tp + fp, 1e-7), tp / np.maximum(tp + fn, 1e-7)])
    own = metadata.create_summary_metadata(display_name="", description="", num_thresholds=thresholds)
    return Summary.Value(tag=tag, metadata=own, tensor=make_tensor_proto(curve.astype(np.float32)))


def write(time, events):
    with open(RUN / f"events.out.tfevents.{int(time)}.voxgrad", "wb") as file:
        records = RecordWriter(file)
        for event in events:
            event.wall_time = time
            records.write(event.SerializeToString())


numbers = np.arange(60)
labels, probabilities = numbers % 3 == 0, numbers * 37 % 101 / 100
edges = np.arange(51) / 50

write(1_700_000_000.25, [
    Event(step=0, file_version="brain.Event:2"),
    Event(step=0, session_log=SessionLog(status=SessionLog.START)),
    Event(step=0, summary=Summary(value=[scalar("loss/all", 0.0)])),
    Event(step=100, summary=Summary(value=[scalar("loss/all", 0.3)])),
    Event(step=100, summary=Summary(value=[histogram("probability/pos", probabilities[labels], edges)])),
    Event(step=100, summary=Summary(value=[histogram("nothing", probabilities[:0], edges)])),
    Event(step=100, summary=Summary(value=[pr_curve("pr", labels, probabilities)])),
    Event(step=200, summary=Summary(value=[scalar("loss/all", float("nan"))])),
    Event(step=300, summary=Summary(value=[scalar("loss/all", 7.0)])),
])
# A run that goes on from step 200.
write(1_700_000_060.25, [
    Event(step=200, file_version="brain.Event:2"),
    Event(step=200, session_log=SessionLog(status=SessionLog.START)),
    Event(step=200, summary=Summary(value=[scalar("loss/all", 0.2)])),
    Event(step=3_000_000_000, summary=Summary(value=[scalar("loss/all", -0.1)])),
])
