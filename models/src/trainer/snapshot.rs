//! Everything a run needs to go on exactly where it stopped, in one file that is replaced at once:
//! weights, the optimizer's state, and where in the data and the random numbers it stood.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;

use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::Optimizer;
use voxgrad_engine::random::{self, RngState};
use voxgrad_engine::{Tensor, checkpoint};

use super::history::Seal;
use crate::{Error, Result};

/// Where a run stands between two batches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Position {
    /// Finished epochs.
    pub epochs: usize,
    /// Batches trained in the epoch after those.
    pub batches: usize,
    /// The sum of those batches' losses.
    pub loss_sum: f64,
    /// Seconds spent in that epoch.
    pub seconds: f64,
    /// Samples of those batches that were called what they are, and all of them; 0 where nobody counts.
    pub correct: u64,
    pub samples: u64,
    /// Of the lines of `metrics.jsonl` about the finished epochs. Older runs have none.
    pub seal: Option<Seal>,
}

impl Position {
    pub const START: Position =
        Position { epochs: 0, batches: 0, loss_sum: 0.0, seconds: 0.0, correct: 0, samples: 0, seal: None };
}

const MODEL: &str = "model.";
const OPTIMIZER: &str = "optimizer.";
const OBSERVERS: &str = "observers.";
const SEAL: &str = "metrics_md5";

/// Writes weights, optimizer, position, what was `observed` and this thread's random generator to `path`,
/// atomically.
pub(super) fn save(
    path: &Path,
    model: &dyn Module,
    optimizer: &dyn Optimizer,
    at: &Position,
    observed: Vec<(String, Tensor)>,
) -> Result<()> {
    let prefixed = |prefix: &'static str, state: Vec<(String, Tensor)>| {
        state.into_iter().map(move |(name, tensor)| (format!("{prefix}{name}"), tensor))
    };
    let network = prefixed(MODEL, model.state_dict()?).chain(prefixed(OPTIMIZER, optimizer.state()?));
    let tensors: Vec<(String, Tensor)> = network.chain(prefixed(OBSERVERS, observed)).collect();
    let rng = random::rng_state();
    // Rust prints an f64 with as many digits as bring back the same bits.
    let metadata = [
        ("epochs", at.epochs.to_string()),
        ("batches", at.batches.to_string()),
        ("loss_sum", at.loss_sum.to_string()),
        ("seconds", at.seconds.to_string()),
        ("correct", at.correct.to_string()),
        ("samples", at.samples.to_string()),
        ("rng_seed", rng.seed.to_string()),
        ("rng_offset", rng.offset.to_string()),
    ];
    let seal = at.seal.map(|seal| (SEAL, seal.to_string()));
    let metadata = metadata.into_iter().chain(seal).map(|(key, value)| (key.to_string(), value)).collect();
    Ok(checkpoint::save(path, &tensors, &metadata)?)
}

/// Puts back what [`save`] wrote to `path`: weights, optimizer and this thread's random generator. Returns
/// the position and what was observed.
///
/// # Errors
/// When the file is broken or of another model or optimizer; it is named, and every parameter that
/// doesn't fit.
pub(super) fn load(
    path: &Path,
    model: &dyn Module,
    optimizer: &mut dyn Optimizer,
) -> Result<(Position, Vec<(String, Tensor)>)> {
    let (tensors, metadata) = checkpoint::load(path)?;
    let fields = Fields { path, metadata: &metadata };
    let at = fields.position()?;
    let rng = RngState { seed: fields.get("rng_seed")?, offset: fields.get("rng_offset")? };

    let prefixes = [MODEL, OPTIMIZER, OBSERVERS];
    let mut states = prefixes.map(|_| Vec::new());
    for (name, tensor) in tensors {
        let mut parts = prefixes.iter().zip(&mut states);
        match parts.find_map(|(prefix, state)| Some((name.strip_prefix(prefix)?, state))) {
            Some((name, state)) => state.push((name.to_string(), tensor)),
            None => {
                let message = format!("{name:?} belongs neither to a model nor to an optimizer");
                return Err(Error::file(path, message));
            }
        }
    }
    let [model_state, optimizer_state, observed] = states;
    // Every optimizer counts its steps. Without them it would begin anew, and nobody would notice.
    if optimizer_state.is_empty() && (at.epochs > 0 || at.batches > 0) {
        return Err(Error::file(
            path,
            format!("it holds no {OPTIMIZER}* tensors, though batches were trained"),
        ));
    }
    model.load_state_dict(&model_state).map_err(|e| Error::file(path, e.to_string()))?;
    optimizer.load_state(&optimizer_state).map_err(|e| Error::file(path, e.to_string()))?;
    random::set_rng_state(rng);
    Ok((at, observed))
}

/// Where the run that wrote `path` stands.
///
/// # Errors
/// When the file is broken.
pub(super) fn position(path: &Path) -> Result<Position> {
    Fields { path, metadata: &checkpoint::load(path)?.1 }.position()
}

struct Fields<'a> {
    path: &'a Path,
    metadata: &'a BTreeMap<String, String>,
}

impl Fields<'_> {
    fn position(&self) -> Result<Position> {
        Ok(Position {
            epochs: self.get("epochs")?,
            batches: self.get("batches")?,
            loss_sum: self.get("loss_sum")?,
            seconds: self.get("seconds")?,
            // Older runs have none of these.
            correct: self.optional("correct")?.unwrap_or(0),
            samples: self.optional("samples")?.unwrap_or(0),
            seal: self.optional(SEAL)?,
        })
    }

    fn optional<T: FromStr>(&self, key: &str) -> Result<Option<T>> {
        self.metadata.contains_key(key).then(|| self.get(key)).transpose()
    }

    fn get<T: FromStr>(&self, key: &str) -> Result<T> {
        let value = self.metadata.get(key);
        value.and_then(|value| value.parse().ok()).ok_or_else(|| {
            let found = value.map_or("is missing".to_string(), |value| {
                format!("can't be {:?}", value.chars().take(40).collect::<String>())
            });
            Error::file(self.path, format!("the metadata `{key}` {found}"))
        })
    }
}
