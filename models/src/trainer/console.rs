//! What a run says: lines on standard output, and on a terminal a bar beneath them.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Zoned};

/// Where a run's lines go, and the progress bar on standard error, which only a terminal shows.
pub struct Console {
    lines: Box<dyn Write + Send>,
    terminal: bool,
    bar: ProgressBar,
    began: Instant,
    /// The batches that were done before this process began.
    before: u64,
}

impl Console {
    /// Lines to standard output.
    pub fn stdout() -> Console {
        Console { terminal: std::io::stderr().is_terminal(), ..Console::to(std::io::stdout()) }
    }

    /// Lines to `lines`, and no bar.
    pub fn to(lines: impl Write + Send + 'static) -> Console {
        let (lines, bar) = (Box::new(lines), ProgressBar::hidden());
        Console { lines, terminal: false, bar, began: Instant::now(), before: 0 }
    }

    /// Whether there is a terminal to draw bars on.
    pub fn has_bar(&self) -> bool {
        self.terminal
    }

    /// Writes a line. A reader that has gone away is no reason to end a training.
    pub fn say(&mut self, line: &str) {
        let lines = &mut self.lines;
        self.bar.suspend(|| {
            let _ = writeln!(lines, "{line}").and_then(|()| lines.flush());
        });
    }

    /// Writes a line with the local date and time in front, as the book's training loops do.
    pub fn say_with_time(&mut self, line: &str) {
        let now = Zoned::now().strftime("%Y-%m-%d %H:%M:%S");
        self.say(&format!("{now} {line}"));
    }

    /// Shows a bar for `total` batches, `done` of which are behind us.
    pub(super) fn start_bar(&mut self, done: u64, total: u64) {
        (self.began, self.before) = (Instant::now(), done);
        if let Ok(style) = ProgressStyle::with_template("{prefix} [{wide_bar:.cyan}] {percent:>3}% {msg}") {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.terminal {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Moves the bar to `done` batches.
    pub(super) fn move_bar(&mut self, done: u64, prefix: impl FnOnce() -> String) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_prefix(prefix());
        let total = self.bar.length().unwrap_or(done);
        if let Some(left) = time_left(self.began.elapsed(), self.before, done, total) {
            self.bar.set_message(format!("{:#} left, ends {}", HumanDuration(left), end_of(left)));
        }
        self.bar.set_position(done);
    }

    /// Takes the bar away.
    pub(super) fn end_bar(&mut self) {
        self.bar.finish_and_clear();
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// The time the rest takes at the speed so far. Unknown until something is done.
fn time_left(elapsed: Duration, before: u64, done: u64, total: u64) -> Option<Duration> {
    let (now, rest) = (done.saturating_sub(before), total.saturating_sub(done));
    if now == 0 {
        return None;
    }
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * rest as f64 / now as f64).ok()
}

/// The local time in `left`, with the date when that is not today.
fn end_of(left: Duration) -> String {
    let now = Zoned::now();
    let end = SignedDuration::try_from(left).ok().and_then(|left| now.checked_add(left).ok());
    match end {
        Some(end) if end.date() == now.date() => end.strftime("%H:%M:%S").to_string(),
        Some(end) => end.strftime("%Y-%m-%d %H:%M").to_string(),
        None => "never".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_goes_by_this_session() {
        let minute = Duration::from_secs(60);
        // 100 batches in a minute, after 1000 of an earlier session; 200 are left
        assert_eq!(time_left(minute, 1000, 1100, 1300), Some(2 * minute));
        assert_eq!(time_left(minute, 1000, 1000, 1300), None);
        assert_eq!(time_left(minute, 0, 10, 5), Some(Duration::ZERO));
        assert_eq!(time_left(Duration::from_secs(u64::MAX / 2), 0, 1, u64::MAX), None);
        assert_eq!(end_of(Duration::MAX), "never");
    }
}
