//! Events as messages. Their fields are listed in TensorFlow's `event.proto`, `summary.proto` and
//! `tensor.proto`, and for curves in TensorBoard's `pr_curve/plugin_data.proto`.

use super::message::Message;
use crate::curves::Histogram;

/// What an event says.
pub(super) enum What<'a> {
    /// The first event of each file.
    FileVersion,
    /// What older files say of this step and later ones is out of date.
    Start,
    Scalar {
        tag: &'a str,
        value: f32,
    },
    Histogram {
        tag: &'a str,
        values: &'a [f64],
        counted: &'a Histogram,
    },
    PrCurve {
        tag: &'a str,
        scored: &'a [(f64, bool)],
    },
}

/// An `Event`; `time` is in seconds since 1970.
pub(super) fn encode(time: f64, step: u64, what: &What) -> Vec<u8> {
    let event = Message::new().double(1, time).whole(2, step);
    let event = match what {
        What::FileVersion => event.bytes(3, "brain.Event:2"),
        What::Start => event.message(7, Message::new().whole(1, SESSION_START)),
        What::Scalar { tag, value } => summary(event, Message::new().bytes(1, tag).float(2, *value)),
        What::Histogram { tag, values, counted } => {
            summary(event, Message::new().bytes(1, tag).message(5, histogram(values, counted)))
        }
        What::PrCurve { tag, scored } => {
            let value = Message::new().bytes(1, tag).message(8, tensor(&pr_curve(scored)));
            summary(event, value.message(9, pr_curve_metadata()))
        }
    };
    event.into_bytes()
}

const SESSION_START: u64 = 1;

/// `event` with a `Summary` of one value.
fn summary(event: Message, value: Message) -> Message {
    event.message(5, Message::new().message(1, value))
}

/// A `HistogramProto`. TensorBoard draws the outermost bars to the smallest and the largest value, so both
/// are of the values that are counted.
fn histogram(values: &[f64], counted: &Histogram) -> Message {
    let inside = || values.iter().copied().filter(|value| counted.bin(*value).is_some());
    let (min, max) = match inside().next() {
        Some(first) => (inside().fold(first, f64::min), inside().fold(first, f64::max)),
        None => (0.0, 0.0),
    };
    Message::new()
        .double(1, min)
        .double(2, max)
        .double(3, inside().count() as f64)
        .double(4, inside().fold(0.0, |sum, value| sum + value))
        .double(5, inside().fold(0.0, |sum, value| sum + value * value))
        .doubles(6, counted.edges().iter().skip(1).copied())
        .doubles(7, counted.counts().iter().map(|&count| count as f64))
}

/// PyTorch's number.
const THRESHOLDS: usize = 127;

/// `[6, THRESHOLDS]`: true positives, false positives, true negatives, false negatives, precision, recall
/// at the thresholds 0, 1/126, .., 1; what reaches a threshold is called positive. Precision is 0 where
/// nothing is.
pub(super) fn pr_curve(scored: &[(f64, bool)]) -> [[f32; THRESHOLDS]; 6] {
    // How many probabilities reach this threshold, but not the next one.
    let mut reached = [[0.0f64; THRESHOLDS]; 2];
    for (probability, positive) in scored {
        let highest = (probability.clamp(0.0, 1.0) * (THRESHOLDS - 1) as f64) as usize; // NaN becomes 0
        reached[usize::from(*positive)][highest] += 1.0;
    }
    let [negatives, positives] = reached.map(|counts| counts.iter().sum::<f64>());
    let part = |some: f64, all: f64| if all > 0.0 { some / all } else { 0.0 };
    let mut curve = [[0.0; THRESHOLDS]; 6];
    let (mut tp, mut fp) = (0.0, 0.0);
    for t in (0..THRESHOLDS).rev() {
        tp += reached[1][t];
        fp += reached[0][t];
        let point = [tp, fp, negatives - fp, positives - tp, part(tp, tp + fp), part(tp, positives)];
        curve.iter_mut().zip(point).for_each(|(row, value)| row[t] = value as f32);
    }
    curve
}

/// A `TensorProto`, f32.
fn tensor<const COLUMNS: usize>(rows: &[[f32; COLUMNS]]) -> Message {
    const DT_FLOAT: u64 = 1;
    let size = |n: usize| Message::new().whole(1, n as u64);
    let shape = Message::new().message(2, size(rows.len())).message(2, size(COLUMNS));
    let bytes: Vec<u8> = rows.as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect();
    Message::new().whole(1, DT_FLOAT).message(2, shape).bytes(4, bytes)
}

/// A `SummaryMetadata`: whose data it is, and that plugin's own message.
pub(super) fn pr_curve_metadata() -> Message {
    let content = Message::new().whole(2, THRESHOLDS as u64);
    Message::new().message(1, Message::new().bytes(1, "pr_curves").message(2, content))
}
