//! Samplers: which samples an epoch has, and in what order.

use super::dataset::data_error;
use crate::Result;
use crate::random::Rng;

/// Chooses the samples of an epoch, for [`DataLoader::sampler`](super::DataLoader::sampler). A sample
/// may come several times or not at all.
pub trait Sampler: Send + Sync {
    /// How many samples an epoch has.
    fn len(&self) -> usize;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers of an epoch's samples in the data set, in their order. Everything random about them
    /// comes from `rng`, which depends on the seed and the epoch alone.
    fn order(&self, rng: &mut Rng) -> Vec<usize>;
}

/// Takes the samples of all classes equally often, however rare one is: sample `i` of an epoch is of
/// class `i % classes`. Each class has an order of its own, another one each epoch; one that is too small
/// begins again.
///
/// ```
/// use voxgrad_engine::data::{BalancedSampler, Sampler};
/// use voxgrad_engine::random::Rng;
///
/// let classes = [vec![7], vec![0, 1, 2, 3, 4, 5, 6]];
/// let order = BalancedSampler::new(classes, 6)?.order(&mut Rng::new(0, 0));
/// assert_eq!([order[0], order[2], order[4]], [7, 7, 7]);
/// assert!(order[1] < 7 && order[3] < 7 && order[5] < 7);
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BalancedSampler {
    classes: Vec<Vec<usize>>,
    samples: usize,
}

impl BalancedSampler {
    /// `samples` samples an epoch. `classes` holds for each class the numbers of its samples.
    ///
    /// # Errors
    /// When a class has no samples.
    pub fn new(classes: impl Into<Vec<Vec<usize>>>, samples: usize) -> Result<BalancedSampler> {
        let classes = classes.into();
        if let Some(class) = classes.iter().position(Vec::is_empty) {
            return data_error(format!(
                "a balanced epoch needs samples of every class; class {class} has none"
            ));
        }
        Ok(BalancedSampler { samples: if classes.is_empty() { 0 } else { samples }, classes })
    }
}

impl Sampler for BalancedSampler {
    fn len(&self) -> usize {
        self.samples
    }

    fn order(&self, rng: &mut Rng) -> Vec<usize> {
        let mut classes = self.classes.clone();
        classes.iter_mut().for_each(|class| rng.shuffle(class));
        let n = classes.len();
        (0..self.samples)
            .map(|i| &classes[i % n][..])
            .enumerate()
            .map(|(i, class)| class[i / n % class.len()])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_alternate_and_the_small_one_begins_again() {
        let sampler = BalancedSampler::new([vec![10, 11, 12], (0..10).collect()], 14).unwrap();
        let order = |stream| sampler.order(&mut Rng::new(5, stream));
        let first = order(0);
        assert_eq!(first.len(), 14);
        let (even, odd): (Vec<_>, Vec<_>) =
            (first.iter().step_by(2).collect(), first.iter().skip(1).step_by(2).collect());
        assert!(even.iter().all(|i| **i >= 10) && odd.iter().all(|i| **i < 10), "{first:?}");
        assert_eq!(even[..3], even[3..6], "round again in the same order");
        let distinct = |some: &[&usize]| some.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!((distinct(&even), distinct(&odd)), (3, 7));
        assert_eq!(first, order(0));
        assert_ne!(first, order(1));
    }

    #[test]
    fn a_class_without_samples_is_an_error() {
        let message = BalancedSampler::new([vec![1], vec![]], 4).unwrap_err().to_string();
        assert_eq!(message, "data: a balanced epoch needs samples of every class; class 1 has none");
    }
}
