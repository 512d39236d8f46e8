//! Where the time of a few steps goes.

use voxgrad_engine::profile::Profiler;
use voxgrad_engine::{Device, checkpoint};

use super::Trainer;
use crate::Result;

/// Steps before the profile: until then memory is fetched, kernels are compiled, the loader gets going.
const WARM_UP: usize = 10;
/// Steps in the table.
const STEPS: usize = 50;
/// Steps in the trace, which is opened by eye.
const TRACED: usize = 10;

/// A profile that is made of this session's steps.
#[derive(Debug, Default)]
pub(super) struct Profiling {
    /// Steps that are done.
    pub done: usize,
    profiler: Option<Profiler>,
}

impl Trainer<'_> {
    /// The next step is about to begin.
    pub(super) fn profile_step(&mut self) -> Result<()> {
        let Some(profiling) = &mut self.profiling else { return Ok(()) };
        if profiling.done == WARM_UP && profiling.profiler.is_none() {
            profiling.profiler = Profiler::start();
        }
        match profiling.done < WARM_UP + STEPS {
            true => Ok(()),
            false => self.end_profile(),
        }
    }

    /// Ends the profile and shows it, if one is being made.
    pub(super) fn end_profile(&mut self) -> Result<()> {
        let Some(Profiling { profiler, .. }) = self.profiling.take() else { return Ok(()) };
        let Some(profiler) = profiler else {
            let few = format!("--profile: nothing to show, it begins with step {}", WARM_UP + 1);
            self.console.say(&few);
            return Ok(());
        };
        let profile = profiler.finish(self.model);
        let steps = profile.events.iter().filter(|event| event.name == "optimizer").count();
        let each = 1e3 * profile.total.as_secs_f64() / steps.max(1) as f64;
        let first = WARM_UP + 1;
        self.console.say(&format!("Profile of {steps} steps, from step {first} on: {each:.2} ms each"));
        let on_gpu = self.optimizer.parameters().first().is_some_and(|p| p.device() != Device::Cpu);
        if on_gpu {
            self.console.say(
                "Each launch was waited for, so these steps took longer than others; the waiting is the host's. Ops \
                 have their time by the GPU's clock, where it has one",
            );
        }
        self.console.say(profile.to_string().trim_end());
        let path = self.run.file("trace.json");
        checkpoint::write_atomically(&path, profile.to_trace(TRACED).to_string().as_bytes())?;
        let (traced, path) = (TRACED.min(steps), path.display());
        self.console.say(&format!(
            "What {traced} of them did when: {path}, for chrome://tracing or https://ui.perfetto.dev"
        ));
        Ok(())
    }
}
