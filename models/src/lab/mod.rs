//! The kernel lab: how long a kernel takes, and how far that is from what the machine can do.
//!
//! The example `kernel_lab` puts it together with the table of cases that the tests and the benches run.

mod roofline;
mod torch;

use std::hint::black_box;
use std::time::{Duration, Instant};

use voxgrad_engine::Device;

pub use roofline::{Roofline, rate};
pub use torch::{Torch, torch};

use crate::Result;

/// How long something takes, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Times {
    /// Half of the samples took longer.
    pub median: f64,
    /// The shortest sample.
    pub least: f64,
    /// How many samples there were.
    pub samples: usize,
}

/// A sample lasts at least so long: a short run is repeated within it.
const SAMPLE: Duration = Duration::from_micros(500);

/// A run that takes longer is timed once.
const LONG: Duration = Duration::from_secs(1);

/// Times `run` on `device` for about `length`, after it has run twice. A GPU is waited for once a sample, as in a
/// training, where the host is ahead of it.
///
/// # Errors
/// Those of `run`, and what goes wrong on the device.
pub fn time<R>(device: &Device, length: Duration, mut run: impl FnMut() -> Result<R>) -> Result<Times> {
    let mut sample = |times: u32| -> Result<Duration> {
        let began = Instant::now();
        for _ in 0..times {
            black_box(run()?);
        }
        device.synchronize()?;
        Ok(began.elapsed())
    };
    sample(1)?;
    let once = sample(1)?.max(Duration::from_nanos(1));
    let times = (SAMPLE.as_secs_f64() / once.as_secs_f64()).ceil().clamp(1.0, 1e6) as u32;
    let (began, mut samples) = (Instant::now(), Vec::new());
    // What takes long is timed once.
    let least = if once > LONG { 1 } else { 3 };
    while samples.len() < least || began.elapsed() < length && samples.len() < 1000 {
        samples.push(sample(times)?.as_secs_f64() / f64::from(times));
    }
    samples.sort_by(f64::total_cmp);
    Ok(Times { median: samples[samples.len() / 2], least: samples[0], samples: samples.len() })
}

/// `seconds` in the unit that fits.
pub fn duration(seconds: f64) -> String {
    let (factor, unit) = match seconds {
        s if s < 1e-3 => (1e6, "us"),
        s if s < 1.0 => (1e3, "ms"),
        _ => (1.0, "s"),
    };
    format!("{:.3} {unit}", factor * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_takes_as_long_as_it_takes() {
        let sleep = || {
            std::thread::sleep(Duration::from_millis(2));
            Ok(())
        };
        let times = time(&Device::Cpu, Duration::from_millis(20), sleep).unwrap();
        assert!(times.least >= 2e-3 && times.median >= times.least && times.samples >= 3, "{times:?}");
        assert_eq!([2.5e-6, 0.0125, 3.0].map(duration), ["2.500 us", "12.500 ms", "3.000 s"]);
    }
}
