//! The networks whose training steps are timed, here and in PyTorch (`benches/peers/`).

use voxgrad_engine::nn::Module;
use voxgrad_models::Result;
use voxgrad_models::cifar2::{MODELS, Variant};

/// A network of the chapter, and how many images it is given at a time.
pub struct Network {
    variant: &'static Variant,
    blocks: usize,
    pub batch: usize,
}

/// The baseline at two sizes, and the networks that are more than the baseline trained in another way.
pub fn all() -> Vec<Network> {
    let others = ["width", "dropout", "batch-norm", "depth", "res", "res-deep"].map(|name| (name, 64));
    let all = [("baseline", 64), ("baseline", 1024)].into_iter().chain(others);
    let network = |(name, batch)| {
        let find = |variant: &&Variant| variant.name == name;
        let variant = MODELS.iter().find(find).expect("the networks of the chapter");
        // A tenth of the book's hundred.
        Network { variant, blocks: variant.n_blocks.map_or(0, |_| 10), batch }
    };
    all.map(network).collect()
}

impl Network {
    pub fn name(&self) -> &'static str {
        self.variant.name
    }

    /// `baseline, batch 64`: what stands before its times.
    pub fn group(&self) -> String {
        let of = if self.blocks > 0 { format!(" of {} blocks", self.blocks) } else { String::new() };
        format!("{}{of}, batch {}", self.name(), self.batch)
    }

    /// With new weights.
    pub fn build(&self) -> Result<Box<dyn Module>> {
        self.variant.build(self.blocks, false)
    }
}
