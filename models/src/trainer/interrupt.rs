//! How a lesson's program ends. Ctrl-C: the first one asks the run to end, the second one ends it.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Outcome;
use crate::{Error, Result};

/// What a shell reports for a program that Ctrl-C ended: 128 + SIGINT.
const EXIT_INTERRUPTED: u8 = 130;

/// What a lesson's program returns: 0 for a training that is finished, 130 for one that was stopped, 2
/// for settings out of range and 1 for any other error, which it prints.
pub fn exit_code(ended: Result<Outcome>) -> ExitCode {
    match ended {
        Ok(Outcome::Finished) => ExitCode::SUCCESS,
        Ok(Outcome::Stopped { .. }) => ExitCode::from(EXIT_INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if matches!(error, Error::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// A flag that the first Ctrl-C sets, for [`Trainer::fit`](super::Trainer::fit) to look at between
/// batches. The second Ctrl-C quits at once; the files are then those of the last epoch.
///
/// # Errors
/// When the program handles Ctrl-C already.
pub fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    let handler = move || {
        if flag.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(EXIT_INTERRUPTED));
        }
    };
    ctrlc::set_handler(handler).map_err(|e| Error::Run(format!("Ctrl-C can't be handled: {e}")))?;
    Ok(stop)
}
