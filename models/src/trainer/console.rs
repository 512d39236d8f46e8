//! What a run says: lines on standard output, and on a terminal a bar beneath them.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Zoned};

/// A run that is one of several, for a bar that shows them all. The seconds are estimates.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// What is done of all the others.
    pub others_done: f64,
    /// The whole of this one.
    pub own: f64,
    /// What is left to do of all the others.
    pub others_left: f64,
}

/// Where a run's lines go, and the progress bar on standard error, which only a terminal shows.
pub struct Console {
    lines: Box<dyn Write + Send>,
    terminal: bool,
    bar: ProgressBar,
    part: Option<Part>,
    began: Instant,
    /// The batches that were done before this process began.
    before: u64,
    /// All batches of the run.
    total: u64,
}

impl Console {
    /// Lines to standard output.
    pub fn stdout() -> Console {
        Console { terminal: std::io::stderr().is_terminal(), ..Console::to(std::io::stdout()) }
    }

    /// Lines to `lines`, and no bar.
    pub fn to(lines: impl Write + Send + 'static) -> Console {
        let (lines, bar) = (Box::new(lines), ProgressBar::hidden());
        Console { lines, terminal: false, bar, part: None, began: Instant::now(), before: 0, total: 0 }
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

    /// Makes the next run's bar one of several runs.
    pub fn begin_part(&mut self, part: Part) {
        self.part = Some(part);
    }

    /// Shows a bar for `total` batches, `done` of which are behind us.
    pub(super) fn start_bar(&mut self, done: u64, total: u64) {
        (self.began, self.before, self.total) = (Instant::now(), done, total);
        // What is said of several runs takes a line of its own: a bar has to fit into 80 columns.
        let template = match self.part {
            None => "{prefix} [{wide_bar:.cyan}] {percent:>3}% {msg}",
            Some(_) => "{prefix}\n[{wide_bar:.cyan}] {percent:>3}% {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        if self.terminal {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.move_bar(done, String::new);
    }

    /// Moves the bar to `done` batches.
    pub(super) fn move_bar(&mut self, done: u64, prefix: impl FnOnce() -> String) {
        if self.bar.is_hidden() {
            return;
        }
        let left = time_left(self.began.elapsed(), self.before, done, self.total);
        match &self.part {
            None => {
                self.bar.set_prefix(prefix());
                if let Some(left) = left {
                    self.bar.set_message(format!("{:#} left, ends {}", HumanDuration(left), end_of(left)));
                }
                self.bar.set_length(self.total);
                self.bar.set_position(done);
            }
            Some(part) => {
                let whole = part.of_all(done, self.total, left);
                let (own, all) = (HumanDuration(whole.own_left), HumanDuration(whole.left));
                let name = [part.name.clone(), prefix()].into_iter().filter(|name| !name.is_empty());
                self.bar.set_prefix(format!("{}, {own:#} left", name.collect::<Vec<_>>().join(": ")));
                self.bar.set_message(format!("{all:#} left of all, ends {}", end_of(whole.left)));
                self.bar.set_length(whole.length);
                self.bar.set_position(whole.position);
            }
        }
    }

    /// Takes the bar away.
    pub(super) fn end_bar(&mut self) {
        self.bar.finish_and_clear();
        self.bar.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// Where several runs stand together.
#[derive(Debug, PartialEq)]
struct Whole {
    /// In milliseconds of estimated time.
    position: u64,
    length: u64,
    own_left: Duration,
    left: Duration,
}

impl Part {
    /// With `done` of this run's `total` batches done. `measured` is the time the rest of it takes, if
    /// that is known any better than by the estimate.
    fn of_all(&self, done: u64, total: u64, measured: Option<Duration>) -> Whole {
        let share = done as f64 / total.max(1) as f64;
        let (done, length) =
            (self.others_done + self.own * share, self.others_done + self.own + self.others_left);
        let own_left = measured.unwrap_or_else(|| seconds(self.own * (1.0 - share)));
        let left = own_left.saturating_add(seconds(self.others_left));
        Whole { position: (1000.0 * done) as u64, length: (1000.0 * length) as u64, own_left, left }
    }
}

/// What can't be a time is none.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
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
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

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

    #[test]
    fn a_part_knows_where_all_stand() {
        let part = Part { name: "width".into(), others_done: 10.0, own: 20.0, others_left: 70.0 };
        let (own_left, left) = (Duration::from_secs(15), Duration::from_secs(85));
        assert_eq!(part.of_all(1, 4, None), Whole { position: 15_000, length: 100_000, own_left, left });
        // It turns out to be faster than was thought.
        let (own_left, left) = (Duration::from_secs(9), Duration::from_secs(79));
        assert_eq!(
            part.of_all(1, 4, Some(own_left)),
            Whole { position: 15_000, length: 100_000, own_left, left }
        );
        assert_eq!(part.of_all(4, 4, Some(Duration::ZERO)).position, 30_000);
        let nonsense = Part { own: f64::NAN, others_left: f64::INFINITY, ..part };
        assert_eq!(nonsense.of_all(0, 0, None).left, Duration::ZERO);
    }

    /// A terminal that remembers what it was given.
    #[derive(Debug, Clone, Default)]
    struct Terminal(Arc<Mutex<String>>);

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(&format!("{line}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_bar_has_room_on_a_terminal_of_80_columns() {
        let name = "11/17 res-deep, 100 blocks, as printed, seed 0".to_string();
        for part in [None, Some(Part { name, others_done: 1e5, own: 1e5, others_left: 1e5 })] {
            let terminal = Terminal::default();
            let mut console = Console::to(Vec::new());
            console.part = part;
            console.start_bar(0, 100);
            console.bar.set_draw_target(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
            console.move_bar(50, || "epoch 50/100".to_string());
            console.bar.tick();
            let shown = terminal.0.lock().unwrap().clone();
            assert!(shown.contains("====") && shown.contains("epoch 50/100"), "{shown:?}");
            assert!(shown.contains("left") && shown.contains("ends "), "{shown:?}");
        }
    }
}
