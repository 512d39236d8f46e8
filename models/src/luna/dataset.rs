//! Nodule candidates as samples, and which of them the network is judged by.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use voxgrad_engine::Error as EngineError;
use voxgrad_engine::data::{BalancedSampler, Dataset, Sample};
use voxgrad_engine::random::Rng;

use super::augment::Augmentation;
use super::crops::Crops;
use super::ct::CROP;
use super::tables::CandidateInfo;
use crate::{Error, Result};

/// How candidates are divided into those to learn from and those to be judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Every n-th candidate of the sorted list is for validation, as in the book. The same CT, even the same
    /// nodule seen by two readers, may be on both sides.
    Stride,
    /// Every n-th scan, by name, is for validation with all of its candidates.
    Series,
}

impl Split {
    /// The candidates to learn from and those for validation, each in the order they had: validation is
    /// every `stride`-th candidate or scan from the first on.
    ///
    /// # Errors
    /// When one of the two has no nodules, or nothing else.
    pub fn divide(
        self,
        candidates: Vec<CandidateInfo>,
        stride: usize,
    ) -> Result<(Vec<CandidateInfo>, Vec<CandidateInfo>)> {
        let names: BTreeSet<String> = candidates.iter().map(|c| c.series_uid.clone()).collect();
        let held_out: BTreeSet<String> = names.into_iter().step_by(stride.max(1)).collect();
        let is_val = |(i, candidate): &(usize, CandidateInfo)| match self {
            Split::Stride => i.is_multiple_of(stride.max(1)),
            Split::Series => held_out.contains(&candidate.series_uid),
        };
        let (val, train): (Vec<_>, Vec<_>) = candidates.into_iter().enumerate().partition(is_val);
        let [train, val] = [train, val].map(|part| part.into_iter().map(|(_, c)| c).collect::<Vec<_>>());
        for (what, part) in [("to learn from", &train), ("for validation", &val)] {
            let nodules = part.iter().filter(|c| c.is_nodule).count();
            let others = part.len() - nodules;
            if nodules == 0 || others == 0 {
                return Err(Error::Run(format!(
                    "of the candidates {what} {nodules} are nodules and {others} are not; both are needed. \
                     More scans, another --split or another --val-stride would help"
                )));
            }
        }
        Ok((train, val))
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Split::Stride => "stride",
            Split::Series => "series",
        })
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(name: &str) -> Result<Split, String> {
        match name {
            "stride" => Ok(Split::Stride),
            "series" => Ok(Split::Series),
            _ => Err(format!("{name:?} is neither stride nor series")),
        }
    }
}

/// Candidates as samples: the crop around each, `[1, 32, 48, 48]` in HU, and whether it is a nodule, 1 or 0.
pub struct LunaDataset {
    crops: Arc<Crops>,
    candidates: Vec<CandidateInfo>,
    augmentation: Augmentation,
}

impl LunaDataset {
    /// The samples of `candidates`, changed at random by `augmentation` each time they are asked for.
    pub fn new(crops: Arc<Crops>, candidates: Vec<CandidateInfo>, augmentation: Augmentation) -> LunaDataset {
        LunaDataset { crops, candidates, augmentation }
    }

    /// The candidates, in the order of the samples.
    pub fn candidates(&self) -> &[CandidateInfo] {
        &self.candidates
    }

    /// The numbers of the nodules, and those of the others.
    pub fn by_class(&self) -> [Vec<usize>; 2] {
        let (nodules, others) = (0..self.candidates.len()).partition(|&i| self.candidates[i].is_nodule);
        [nodules, others]
    }

    /// As many nodules as others, `samples` an epoch: sample i is a nodule when i is even.
    ///
    /// # Errors
    /// When there are no nodules, or nothing else.
    pub fn balanced(&self, samples: usize) -> Result<BalancedSampler> {
        Ok(BalancedSampler::new(self.by_class(), samples)?)
    }
}

impl Dataset for LunaDataset {
    fn len(&self) -> usize {
        self.candidates.len()
    }

    fn get(&self, index: usize, rng: &mut Rng) -> voxgrad_engine::Result<Sample> {
        let missing = || format!("there is no sample {index} among {}", self.candidates.len());
        let candidate = self.candidates.get(index).ok_or_else(|| EngineError::Data(missing()))?;
        let crop = self.crops.at(candidate).map_err(|e| match e {
            Error::Engine(error) => error,
            other => EngineError::Data(other.to_string()),
        })?;
        let input = self.augmentation.apply(crop.hu, CROP, rng);
        let [depth, height, width] = CROP;
        Ok(Sample { input, shape: [1, depth, height, width].into(), target: candidate.is_nodule.into() })
    }
}
