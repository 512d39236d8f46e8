//! A profile as a table.

use std::fmt;
use std::time::Duration;

use super::{Kind, Profile};
use crate::columns::columns;

/// One op in one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The phase; empty for what is in none.
    pub phase: &'static str,
    /// The op, or empty for what the host did in the phase between its kernels.
    pub op: &'static str,
    /// How often it was computed; of the host, how often there was the phase.
    pub calls: usize,
    /// What its kernels took, by the device's clock; of the host, the rest of the phase.
    pub time: Duration,
    /// The floating-point operations of its kernels, where all were counted; 0 otherwise.
    pub flops: u64,
    /// The bytes of its kernels' buffers.
    pub bytes: u64,
}

impl Profile {
    /// What each op took in each phase, the longest first, and then the host; the phases in the order in which
    /// they first came, and last what was in none. All times together are [`Profile::total`].
    pub fn rows(&self) -> Vec<Row> {
        let mut phases: Vec<&'static str> = Vec::new();
        for event in self.events.iter().filter(|event| event.kind == Kind::Phase) {
            if !phases.contains(&event.phase) {
                phases.push(event.phase);
            }
        }
        phases.push("");
        phases.into_iter().flat_map(|phase| self.rows_of(phase)).collect()
    }

    fn rows_of(&self, phase: &'static str) -> Vec<Row> {
        let none = Row { phase, op: "", calls: 0, time: Duration::ZERO, flops: 0, bytes: 0 };
        let (mut rows, mut kernels) = (Vec::<(Row, usize)>::new(), Duration::ZERO);
        for event in self.events.iter().filter(|event| event.phase == phase && event.kind != Kind::Phase) {
            let at = rows.iter().position(|(row, _)| row.op == event.op).unwrap_or_else(|| {
                rows.push((Row { op: event.op, ..none.clone() }, 0));
                rows.len() - 1
            });
            let (row, launches) = &mut rows[at];
            match event.kind {
                Kind::Op => row.calls += 1,
                _ => *launches += 1,
            }
            row.time += event.time;
            row.flops += event.flops;
            row.bytes += event.bytes;
            kernels += event.time;
        }
        // A kernel that no op launched, such as an optimizer's, is called as often as it was launched.
        let called = |(row, launches): (Row, usize)| Row {
            calls: if row.calls > 0 { row.calls } else { launches },
            ..row
        };
        let mut rows: Vec<Row> = rows.into_iter().map(called).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.time));
        let spans = || self.events.iter().filter(|event| event.kind == Kind::Phase);
        let (calls, all) = match phase {
            "" => (0, self.total.saturating_sub(spans().map(|span| span.host).sum())),
            _ => {
                let of_phase = || spans().filter(|span| span.phase == phase);
                (of_phase().count(), of_phase().map(|span| span.host).sum())
            }
        };
        rows.push(Row { calls, time: all.saturating_sub(kernels), ..none });
        rows
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total.as_secs_f64();
        let rate = |amount: u64, seconds: f64| match amount > 0 && seconds > 0.0 {
            true => format!("{:.1}", amount as f64 / seconds / 1e9),
            false => String::new(),
        };
        let cells = |row: Row| {
            let seconds = row.time.as_secs_f64();
            let name =
                |name: &str, nothing: &str| if name.is_empty() { nothing.into() } else { name.to_string() };
            [
                name(row.phase, "the rest"),
                name(row.op, "(host)"),
                if row.calls > 0 { row.calls.to_string() } else { String::new() },
                format!("{:.3}", 1e3 * seconds),
                format!("{:.1}%", 100.0 * seconds / total.max(f64::MIN_POSITIVE)),
                rate(row.flops, seconds),
                rate(row.bytes, seconds),
            ]
        };
        let mut rows: Vec<_> = self.rows().into_iter().map(cells).collect();
        rows.push(["all", "", "", &format!("{:.3}", 1e3 * total), "100.0%", "", ""].map(String::from));
        f.write_str(&columns(["phase", "op", "calls", "ms", "share", "GFLOP/s", "GB/s"], 2, &rows))
    }
}
