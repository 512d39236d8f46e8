//! Data sets: numbered samples, and the buffer that a batch of them is written to.

use crate::random::Rng;
use crate::{Error, Result, Shape};

/// One example: its numbers, their shape and its class.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The numbers, row-major.
    pub input: Vec<f32>,
    /// Their shape, without a batch dimension: `[C, H, W]` for an image.
    pub shape: Shape,
    /// The class.
    pub target: u32,
}

/// Samples numbered `0..len`.
pub trait Dataset: Send + Sync {
    /// How many samples there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sample `index`. Everything random about it comes from `rng`, which depends on the seed, the
    /// epoch and `index` alone: so it comes out the same whichever thread asks.
    fn get(&self, index: usize, rng: &mut Rng) -> Result<Sample>;

    /// Writes sample `index` to the end of `batch`. A data set that holds its samples ready does
    /// this without making a [`Sample`] of them first.
    fn append(&self, index: usize, rng: &mut Rng, batch: &mut BatchBuffer) -> Result<()> {
        let sample = self.get(index, rng)?;
        batch.push(&sample.input, &sample.shape, sample.target)
    }
}

/// A batch in the making: the samples so far, one after the other.
#[derive(Debug, Default)]
pub struct BatchBuffer {
    pub(super) inputs: Vec<f32>,
    pub(super) targets: Vec<u32>,
    pub(super) sample_shape: Shape,
    expected: usize,
}

impl BatchBuffer {
    /// An empty batch that will take `expected` samples.
    pub fn new(expected: usize) -> BatchBuffer {
        BatchBuffer { expected, targets: Vec::with_capacity(expected), ..BatchBuffer::default() }
    }

    /// Adds a sample.
    ///
    /// # Errors
    /// When `input` doesn't fill `shape`, or `shape` is not that of the samples before it.
    pub fn push(&mut self, input: &[f32], shape: &Shape, target: u32) -> Result<()> {
        if self.targets.is_empty() {
            self.sample_shape = shape.clone();
            self.inputs.reserve(self.expected * input.len());
        }
        if *shape != self.sample_shape {
            return data_error(format!(
                "a sample of shape {shape} does not fit into a batch of samples of shape {}",
                self.sample_shape
            ));
        }
        if input.len() != shape.numel()? {
            return data_error(format!(
                "a sample of {} numbers does not fill its shape {shape}",
                input.len()
            ));
        }
        self.inputs.extend_from_slice(input);
        self.targets.push(target);
        Ok(())
    }
}

/// Samples of one shape that all lie in memory, ready: a batch is one copy per sample.
#[derive(Debug, Clone)]
pub struct TensorDataset {
    inputs: Vec<f32>,
    sample_shape: Shape,
    targets: Vec<u32>,
}

impl TensorDataset {
    /// Samples of shape `sample_shape` that lie one after the other in `inputs`, and their classes.
    ///
    /// # Errors
    /// When `inputs` doesn't hold one sample for each of `targets`.
    pub fn new(inputs: Vec<f32>, sample_shape: impl Into<Shape>, targets: Vec<u32>) -> Result<TensorDataset> {
        let sample_shape = sample_shape.into();
        let (numbers, samples) = (inputs.len(), targets.len());
        if sample_shape.numel()?.checked_mul(samples) != Some(numbers) {
            return data_error(format!(
                "{numbers} numbers do not fill {samples} samples of shape {sample_shape}"
            ));
        }
        Ok(TensorDataset { inputs, sample_shape, targets })
    }

    /// The numbers of all samples, one sample after the other.
    pub fn inputs(&self) -> &[f32] {
        &self.inputs
    }

    /// The shape of one sample.
    pub fn sample_shape(&self) -> &Shape {
        &self.sample_shape
    }

    /// The classes of all samples.
    pub fn targets(&self) -> &[u32] {
        &self.targets
    }

    /// The numbers and the class of sample `index`.
    ///
    /// # Errors
    /// When there is no such sample.
    pub fn sample(&self, index: usize) -> Result<(&[f32], u32)> {
        match self.targets.get(index) {
            Some(&target) => {
                let size = self.inputs.len() / self.targets.len();
                Ok((&self.inputs[index * size..(index + 1) * size], target))
            }
            None => data_error(format!("there is no sample {index} among {}", self.targets.len())),
        }
    }
}

impl Dataset for TensorDataset {
    fn len(&self) -> usize {
        self.targets.len()
    }

    fn get(&self, index: usize, _rng: &mut Rng) -> Result<Sample> {
        let (input, target) = self.sample(index)?;
        Ok(Sample { input: input.to_vec(), shape: self.sample_shape.clone(), target })
    }

    fn append(&self, index: usize, _rng: &mut Rng, batch: &mut BatchBuffer) -> Result<()> {
        let (input, target) = self.sample(index)?;
        batch.push(input, &self.sample_shape, target)
    }
}

pub(super) fn data_error<T>(message: String) -> Result<T> {
    Err(Error::Data(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_do_not_fit_are_named() {
        let message = TensorDataset::new(vec![0.0; 7], [2, 2], vec![0, 1]).unwrap_err().to_string();
        assert_eq!(message, "data: 7 numbers do not fill 2 samples of shape [2, 2]");

        let mut batch = BatchBuffer::new(2);
        batch.push(&[1.0, 2.0], &[2].into(), 0).unwrap();
        let message = batch.push(&[1.0], &[1].into(), 0).unwrap_err().to_string();
        assert!(message.contains("[1]") && message.contains("[2]"), "{message}");
        let message = batch.push(&[1.0], &[2].into(), 0).unwrap_err().to_string();
        assert_eq!(message, "data: a sample of 1 numbers does not fill its shape [2]");
    }

    #[test]
    fn a_sample_out_of_range_is_an_error() {
        let data = TensorDataset::new(vec![1.0, 2.0, 3.0, 4.0], [2], vec![5, 6]).unwrap();
        assert_eq!(data.sample(1).unwrap(), (&[3.0, 4.0][..], 6));
        assert_eq!(data.sample(2).unwrap_err().to_string(), "data: there is no sample 2 among 2");
        assert!(TensorDataset::new(vec![], [2], vec![]).unwrap().sample(0).is_err());
    }
}
