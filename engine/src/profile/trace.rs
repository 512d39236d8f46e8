//! A profile as a trace file.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Event, Kind, Profile};

impl Profile {
    /// The first `steps` phases called `optimizer`, and all before them, in Chrome's trace event format, which
    /// `chrome://tracing` and Perfetto (<https://ui.perfetto.dev>) open: complete events, times in microseconds.
    ///
    /// A kernel of a GPU ends with the wait for it, and takes what it took by the GPU's clock.
    pub fn to_trace(&self, steps: usize) -> Value {
        let ends = self.events.iter().filter(|event| event.kind == Kind::Phase && event.name == "optimizer");
        let end = ends.map(|event| event.began + event.host).nth(steps.saturating_sub(1));
        let within = |event: &&Event| end.is_none_or(|end| event.began < end);
        let thread = json!({
            "name": "thread_name", "ph": "M", "pid": 1, "tid": 1, "args": { "name": "training" },
        });
        let events = self.events.iter().filter(within).map(Event::to_trace);
        json!({
            "displayTimeUnit": "ms",
            "traceEvents": std::iter::once(thread).chain(events).collect::<Vec<Value>>(),
        })
    }
}

impl Event {
    fn to_trace(&self) -> Value {
        let microseconds = |time: Duration| time.as_nanos() as f64 / 1e3;
        let (category, began, time) = match self.kind {
            Kind::Phase => ("phase", self.began, self.host),
            Kind::Op => (self.phase, self.began, self.host),
            Kind::Kernel => {
                let time = self.time.min(self.host);
                ("kernel", self.began + (self.host - time), time)
            }
        };
        let mut args = serde_json::Map::new();
        let mut say = |key: &str, value: &str| {
            if !value.is_empty() {
                args.insert(key.into(), value.into());
            }
        };
        say(if self.kind == Kind::Kernel { "source" } else { "layer" }, &self.place);
        say(if self.kind == Kind::Op { "shapes" } else { "parameters" }, &self.what);
        if self.kind == Kind::Kernel {
            let seconds = self.time.as_secs_f64();
            for (key, amount) in [("GFLOP/s", self.flops), ("GB/s", self.bytes)] {
                if amount > 0 && seconds > 0.0 {
                    args.insert(key.into(), json!((amount as f64 / seconds / 1e7).round() / 100.0));
                }
            }
        }
        json!({
            "name": self.name, "cat": category, "ph": "X", "pid": 1, "tid": 1,
            "ts": microseconds(began), "dur": microseconds(time), "args": args,
        })
    }
}
