//! What a network has said, turned into class numbers.

use voxgrad_engine::{DType, Tensor};

use super::ConfusionMatrix;
use crate::Result;

/// The class that a network has called each sample, and its true class.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predictions {
    /// What each sample was called.
    pub said: Vec<u32>,
    /// What it is.
    pub truth: Vec<u32>,
    /// How much each output speaks for class 1, where there are two classes: the higher the more. Empty
    /// for more classes.
    pub scores: Vec<f64>,
}

impl Predictions {
    /// Outputs and targets of one batch as classes; see [`Gathered::push`] for their forms.
    ///
    /// # Errors
    /// As [`Gathered::read`].
    pub fn of(outputs: &Tensor, targets: &Tensor, threshold: f64) -> Result<Predictions> {
        let mut one = Gathered::with_scores();
        one.push(outputs, targets)?;
        one.read(threshold)
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.truth.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.truth.is_empty()
    }

    /// How many are called what they are.
    pub fn correct(&self) -> usize {
        self.said.iter().zip(&self.truth).filter(|(said, truth)| said == truth).count()
    }

    /// Counted by true class and by what they were called; as many classes as occur, at least two.
    ///
    /// # Errors
    /// None that a pair of lists of one length can cause.
    pub fn confusion(&self) -> Result<ConfusionMatrix> {
        let highest = self.said.iter().chain(&self.truth).copied().max().unwrap_or(0);
        let mut seen = ConfusionMatrix::new((highest as usize + 1).max(2));
        seen.add_all(&self.truth, &self.said)?;
        Ok(seen)
    }
}

/// Predictions of several batches, still on their device: reading them all waits once.
#[derive(Debug, Clone, Default)]
pub struct Gathered {
    /// Per batch the class numbers, or the outputs themselves where they are one number per sample.
    said: Vec<Tensor>,
    truth: Vec<Tensor>,
    /// Per batch the scores, for outputs of two numbers per sample.
    scores: Vec<Tensor>,
    with_scores: bool,
}

impl Gathered {
    /// Gathers scores too, see [`Predictions::scores`].
    pub fn with_scores() -> Gathered {
        Gathered { with_scores: true, ..Gathered::default() }
    }

    /// How many batches there are.
    pub fn batches(&self) -> usize {
        self.said.len()
    }

    /// Adds a batch. Outputs `[N, C]` call each sample the class of the largest; outputs `[N, 1]` or
    /// `[N]`, probabilities or logits, call it class 1 when they are above a threshold. Targets are class
    /// numbers, or floats of the outputs' shape: largest or above 0.5 likewise.
    ///
    /// # Errors
    /// When outputs or targets have another form.
    pub fn push(&mut self, outputs: &Tensor, targets: &Tensor) -> Result<()> {
        let (outputs, targets) = (outputs.detach(), targets.detach());
        let classes = if outputs.ndim() < 2 { 1 } else { outputs.size(1)? };
        if self.with_scores && outputs.ndim() == 2 && classes == 2 {
            // Of two probabilities, and of two logits, the difference grows with that of class 1.
            let column = |c| outputs.narrow(1, c, 1);
            self.scores.push(column(1)?.sub(&column(0)?)?);
        }
        let largest = |x: &Tensor| if classes > 1 { x.argmax(&[1], false) } else { Ok(x.clone()) };
        self.said.push(largest(&outputs)?);
        self.truth.push(if targets.dtype() == DType::U32 { targets } else { largest(&targets)? });
        Ok(())
    }

    /// Reads all batches from the device. Outputs of one number per sample mean class 1 above `threshold`.
    ///
    /// # Errors
    /// When there are not as many targets as outputs.
    pub fn read(&self, threshold: f64) -> Result<Predictions> {
        let (said, truth) = (Numbers::read(&self.said)?, Numbers::read(&self.truth)?);
        let scores = match (&said, self.with_scores) {
            (Numbers::Raw(outputs), true) => outputs.clone(),
            _ => Numbers::read(&self.scores)?.into_raw(),
        };
        let (said, truth) = (said.into_classes(threshold), truth.into_classes(0.5));
        if said.len() != truth.len() {
            let message = format!("{} outputs for {} targets", said.len(), truth.len());
            return Err(voxgrad_engine::Error::Shape { op: "accuracy", message }.into());
        }
        Ok(Predictions { said, truth, scores })
    }
}

/// The elements of some tensors.
enum Numbers {
    Classes(Vec<u32>),
    Raw(Vec<f64>),
}

impl Numbers {
    fn read(tensors: &[Tensor]) -> Result<Numbers> {
        Ok(match tensors.first().map(Tensor::dtype) {
            None | Some(DType::U32) => Numbers::Classes(Tensor::read_all(tensors)?),
            Some(DType::F32) => {
                Numbers::Raw(Tensor::read_all::<f32>(tensors)?.into_iter().map(f64::from).collect())
            }
            Some(DType::F64) => Numbers::Raw(Tensor::read_all(tensors)?),
        })
    }

    fn into_classes(self, threshold: f64) -> Vec<u32> {
        match self {
            Numbers::Classes(classes) => classes,
            Numbers::Raw(numbers) => numbers.into_iter().map(|x| u32::from(x > threshold)).collect(),
        }
    }

    fn into_raw(self) -> Vec<f64> {
        match self {
            Numbers::Classes(classes) => classes.into_iter().map(f64::from).collect(),
            Numbers::Raw(numbers) => numbers,
        }
    }
}
