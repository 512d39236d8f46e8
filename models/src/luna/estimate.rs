//! When a long loop will end: a bar on a terminal, and lines elsewhere.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Zoned};

use crate::trainer::Console;

/// The first round after which a line is due; the next ones follow after four times as many.
const FIRST: usize = 16;

/// The lines of the book's `enumerateWithEstimate`:
///
/// ```text
/// E1 Training ----/1725, starting
/// E1 Training   16/1725, done at 2026-03-01 12:06:31, 0:03:42
/// E1 Training   64/1725, done at 2026-03-01 12:06:29, 0:03:40
/// ```
#[derive(Debug)]
pub struct Estimate {
    what: String,
    total: usize,
    began: Instant,
    due: AtomicUsize,
}

impl Estimate {
    /// A loop of `total` rounds that begins now.
    pub fn new(what: impl Into<String>, total: usize) -> Estimate {
        Estimate { what: what.into(), total, began: Instant::now(), due: AtomicUsize::new(FIRST) }
    }

    /// The line for the beginning.
    pub fn start(&self) -> String {
        format!("{} ----/{}, starting", self.what, self.total)
    }

    /// The line after `done` rounds, if one is due.
    pub fn after(&self, done: usize) -> Option<String> {
        let due = self.due.load(Ordering::Relaxed);
        if done < due || done >= self.total {
            return None;
        }
        let mut next = due;
        while next <= done {
            next = next.saturating_mul(4);
        }
        // Of several threads that come at once, one says it.
        self.due.compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed).ok()?;
        let whole = self.began.elapsed().mul_f64(self.total as f64 / done.max(1) as f64);
        let left = whole.saturating_sub(self.began.elapsed());
        let end = SignedDuration::try_from(left).ok().and_then(|left| Zoned::now().checked_add(left).ok());
        let end = end.map_or("never".to_string(), |end| end.strftime("%Y-%m-%d %H:%M:%S").to_string());
        Some(format!("{} {done:>4}/{}, done at {end}, {}", self.what, self.total, clock(whole)))
    }
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Runs `work`, which tells how many of `total` rounds are done, with a bar or lines that say when it ends.
pub fn with_estimate<T>(
    console: &mut Console,
    what: &str,
    total: usize,
    work: impl FnOnce(&(dyn Fn(usize) + Sync)) -> T,
) -> T {
    if console.has_bar() {
        let bar = ProgressBar::new(total as u64);
        let style = ProgressStyle::with_template("{prefix} [{wide_bar:.cyan}] {pos}/{len} {eta} left");
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what.to_string());
        let result = work(&|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        return result;
    }
    let estimate = Estimate::new(what, total);
    console.say(&estimate.start());
    let lines = Mutex::new(console);
    work(&|done| {
        // The console first: so several threads' lines come in their order.
        if let Ok(mut console) = lines.lock()
            && let Some(line) = estimate.after(done)
        {
            console.say(&line);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_after_16_64_256_rounds() {
        let estimate = Estimate::new("E1 Training", 1000);
        assert_eq!(estimate.start(), "E1 Training ----/1000, starting");
        let lines: Vec<(usize, String)> =
            (1..=1000).filter_map(|done| Some((done, estimate.after(done)?))).collect();
        assert_eq!(lines.iter().map(|(done, _)| *done).collect::<Vec<_>>(), [16, 64, 256]);
        assert!(lines[0].1.starts_with("E1 Training   16/1000, done at 2"), "{}", lines[0].1);
        assert!(lines[2].1.ends_with(", 0:00:00"), "{}", lines[2].1);
        // Rounds that come in bundles.
        let estimate = Estimate::new("crops", 1000);
        let due: Vec<usize> =
            [10, 70, 100, 300, 1000].into_iter().filter(|&d| estimate.after(d).is_some()).collect();
        assert_eq!(due, [70, 300]);
        assert_eq!(clock(Duration::from_secs(3 * 3600 + 62)), "3:01:02");
    }
}
