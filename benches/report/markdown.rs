//! The table, in Markdown.

use std::fmt::Write as _;

use super::read::{Results, Row, Time};

/// PyTorch's ways, as `torch_gpu.py` calls them.
const WAYS: [&str; 4] = ["eager", "channels-last", "compiled", "CUDA graph"];
/// A training step that voxgrad captured as one CUDA graph.
const CAPTURED: &str = "training step, captured";

pub fn of(results: &Results) -> String {
    let about = |name: &str| results.about.iter().find(|(key, _)| key == name).map(|(_, value)| &value[..]);
    let mut page = format!("# {}\n\n", about("card").unwrap_or("an unknown card"));
    for (name, value) in results.about.iter().filter(|(name, _)| name != "card") {
        writeln!(page, "- {name}: {value}").unwrap();
    }
    if let Some(torch) = &results.torch {
        let cuda = torch.cuda.as_ref().map_or(String::new(), |cuda| format!(", CUDA {cuda}"));
        let cudnn = torch.cudnn.map_or(String::new(), |cudnn| format!(", cuDNN {cudnn}"));
        writeln!(page, "- PyTorch: {}{cuda}{cudnn}, on {}", torch.torch, torch.device).unwrap();
    }
    tests(&mut page, results);
    left_out(&mut page, results);
    let (rungs, others): (Vec<&Time>, Vec<&Time>) =
        results.times.iter().partition(|time| time.group.ends_with(" rungs"));
    let (steps, ops): (Vec<&Time>, Vec<&Time>) =
        others.into_iter().partition(|time| time.group.contains(", batch "));
    let rows = results.torch.as_ref().map_or(&[][..], |torch| &torch.rows);
    training_steps(&mut page, &steps, rows);
    self::ops(&mut page, &ops, rows);
    self::rungs(&mut page, &rungs);
    page
}

fn tests(page: &mut String, results: &Results) {
    if results.tests.is_empty() {
        return;
    }
    let sum = |count: fn(&super::read::Tests) -> u32| results.tests.iter().map(count).sum::<u32>();
    let bad: Vec<_> = results.tests.iter().filter(|tests| tests.outcome != "passed").collect();
    let programs = results.tests.len();
    let (passed, failed) = (sum(|t| t.passed), sum(|t| t.failed));
    writeln!(page, "\n## Tests\n\n{passed} passed and {failed} failed, in {programs} programs:\n").unwrap();
    page.push_str("| program | outcome | passed | failed | seconds |\n|---|---|--:|--:|--:|\n");
    for t in bad.iter().copied().chain(results.tests.iter().filter(|t| t.outcome == "passed")) {
        let numbers = format!("{} | {} | {:.1}", t.passed, t.failed, t.seconds);
        writeln!(page, "| {} | {} | {numbers} |", t.program, t.outcome).unwrap();
    }
}

fn left_out(page: &mut String, results: &Results) {
    let torch = results.torch.iter().flat_map(|torch| &torch.left_out);
    let torch = torch.map(|what| format!("PyTorch: {what}"));
    let all: Vec<String> = results.left_out.iter().cloned().chain(torch).collect();
    if !all.is_empty() {
        page.push_str("\n## Left out\n\n");
        all.iter().for_each(|what| writeln!(page, "- {what}").unwrap());
    }
}

/// PyTorch's times of one row: with TF32 off, and on where there is a difference to be.
struct Peers<'a>(Vec<&'a Row>);

impl<'a> Peers<'a> {
    fn of(rows: &'a [Row], time: &Time) -> Peers<'a> {
        let same =
            |row: &&Row| (&row.group, &row.function, &row.what) == (&time.group, &time.function, &time.what);
        Peers(rows.iter().filter(same).collect())
    }

    /// `12.3`, `12.3 / 8.1` with TF32 after the stroke, or a dash.
    fn cell(&self, way: &str) -> String {
        let of = |tf32| self.0.iter().find(|row| row.way == way && row.tf32 == tf32).map(|row| row.seconds);
        match (of(false), of(true)) {
            (Some(off), Some(on)) => format!("{} / {}", us(off), us(on)),
            (Some(off), None) => us(off),
            (None, Some(on)) => format!("- / {}", us(on)),
            (None, None) => "-".into(),
        }
    }

    /// How many times as fast as PyTorch's fastest way in f32 `seconds` is.
    fn ratio(&self, seconds: f64) -> String {
        let exact = self.0.iter().filter(|row| !row.tf32).map(|row| row.seconds);
        match exact.min_by(f64::total_cmp) {
            Some(fastest) => format!("{:.2}", fastest / seconds),
            None => "-".into(),
        }
    }
}

const COLUMNS: &str = "PyTorch eager | channels-last | compiled | CUDA graph | ratio |";
const LEGEND: &str = "\
Microseconds, medians. PyTorch: with TF32 off, and after the stroke with it on; channels-last has cudnn.benchmark \
set. The ratio is PyTorch's fastest time with TF32 off over voxgrad's: above 1, voxgrad is faster. voxgrad \
computes in f32 throughout.\n";

fn training_steps(page: &mut String, times: &[&Time], rows: &[Row]) {
    if times.is_empty() {
        return;
    }
    writeln!(page, "\n## Training steps\n\n{LEGEND}").unwrap();
    writeln!(page, "| network | | voxgrad | captured | {COLUMNS}").unwrap();
    page.push_str("|---|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for time in times.iter().filter(|time| time.function != CAPTURED) {
        let captured = times.iter().find(|other| {
            other.group == time.group && other.function == CAPTURED && time.function == "training step"
        });
        let fastest = captured.map_or(time.seconds, |captured| captured.seconds.min(time.seconds));
        let captured = captured.map_or("-".into(), |captured| us(captured.seconds));
        let peers = Peers::of(rows, time);
        let ways = WAYS.map(|way| peers.cell(way)).join(" | ");
        let ratio = peers.ratio(fastest);
        let (group, function) = (&time.group, &time.function);
        writeln!(page, "| {group} | {function} | {} | {captured} | {ways} | {ratio} |", us(time.seconds))
            .unwrap();
    }
}

fn ops(page: &mut String, times: &[&Time], rows: &[Row]) {
    if times.is_empty() {
        return;
    }
    writeln!(page, "\n## Ops\n\n{LEGEND}").unwrap();
    writeln!(page, "| op | sizes | | voxgrad | {COLUMNS}").unwrap();
    page.push_str("|---|---|---|--:|--:|--:|--:|--:|--:|\n");
    for time in times {
        let peers = Peers::of(rows, time);
        let ways = WAYS.map(|way| peers.cell(way)).join(" | ");
        let Time { group, what, function, seconds, .. } = time;
        let ratio = peers.ratio(*seconds);
        writeln!(page, "| {group} | {what} | {function} | {} | {ways} | {ratio} |", us(*seconds)).unwrap();
    }
}

fn rungs(page: &mut String, times: &[&Time]) {
    if times.is_empty() {
        return;
    }
    page.push_str("\n## Rungs\n\nEvery kernel that has several: microseconds, medians, and GFLOP/s.\n\n");
    page.push_str("| kernel | sizes | rung | time | GFLOP/s |\n|---|---|---|--:|--:|\n");
    for Time { group, what, function, seconds, flops } in times {
        let kernel = group.trim_end_matches(" rungs");
        let speed = flops.map_or("-".into(), |flops| format!("{:.1}", flops as f64 / seconds / 1e9));
        writeln!(page, "| {kernel} | {what} | {function} | {} | {speed} |", us(*seconds)).unwrap();
    }
}

/// Three digits.
fn us(seconds: f64) -> String {
    let us = seconds * 1e6;
    let digits = if us < 10.0 { 2 } else { usize::from(us < 100.0) };
    format!("{us:.digits$}")
}
