//! One step of training.

use voxgrad_engine::data::Batch;
use voxgrad_engine::nn::Module;
use voxgrad_engine::ops::CrossEntropyOptions;
use voxgrad_engine::optim::Optimizer;
use voxgrad_engine::{Tensor, TrainStep};

use crate::Result;

/// Makes a scalar that a step adds to its loss, of tensors alone: a recorded step is not worked out anew; see
/// [`TrainStep`].
pub type LossTerm<'a> = &'a dyn Fn() -> Result<Tensor>;

/// Moves the parameters against the gradient of the batch's loss, its cross-entropy and all `terms`.
/// Returns that loss, from before the step.
pub(super) fn step(
    train_step: &mut TrainStep,
    model: &dyn Module,
    optimizer: &mut dyn Optimizer,
    batch: &Batch,
    terms: &[LossTerm],
) -> Result<Tensor> {
    let inputs = [batch.inputs.clone(), batch.targets.clone()];
    train_step.run(optimizer, &inputs, |inputs| {
        let logits = model.forward(&inputs[0])?;
        let mut loss = logits.cross_entropy(&inputs[1], &CrossEntropyOptions::default())?;
        for term in terms {
            loss = loss.add(&term()?)?;
        }
        Ok(loss)
    })
}
