//! One step of training.

use voxgrad_engine::data::Batch;
use voxgrad_engine::nn::Module;
use voxgrad_engine::optim::Optimizer;
use voxgrad_engine::{Tensor, TrainStep};

use crate::Result;
use crate::losses::Loss;

/// Makes a scalar that a step adds to its loss, of tensors alone: a recorded step is not worked out anew; see
/// [`TrainStep`].
pub type LossTerm<'a> = &'a dyn Fn() -> Result<Tensor>;

/// What every step of a training does alike.
pub(super) struct Part<'a> {
    pub model: &'a dyn Module,
    pub loss: Loss,
    /// What is added to the loss.
    pub terms: &'a [LossTerm<'a>],
    /// Whether the outputs are wanted.
    pub keep: bool,
}

/// Moves the parameters against the gradient of the batch's loss, all terms included. Returns that loss
/// and the outputs it is of, from before the step.
pub(super) fn step(
    train_step: &mut TrainStep,
    optimizer: &mut dyn Optimizer,
    batch: &Batch,
    part: &Part,
) -> Result<(Tensor, Option<Tensor>)> {
    let inputs = [batch.inputs.clone(), batch.targets.clone()];
    let given: Result<_> = train_step.run_keeping(optimizer, &inputs, |inputs| {
        let outputs = part.model.forward(&inputs[0])?;
        let mut loss = part.loss.of(&outputs, &inputs[1])?;
        for term in part.terms {
            loss = loss.add(&term()?)?;
        }
        Ok((loss, if part.keep { vec![outputs] } else { Vec::new() }))
    });
    let (loss, mut kept) = given?;
    Ok((loss, kept.pop()))
}
