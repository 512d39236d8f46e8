//! What the book's training application measures, logs and shows in TensorBoard, as an observer of a
//! training.

use std::path::Path;
use std::sync::Arc;

use voxgrad_engine::ops::{CrossEntropyOptions, Reduction};
use voxgrad_engine::{DType, Tensor, no_grad};

use super::crops::Crops;
use super::estimate::Estimate;
use super::scores::{Scores, Table};
use crate::curves::unit_edges;
use crate::tensorboard::SummaryWriter;
use crate::trainer::{Console, EpochMetrics, Observer, Split};
use crate::{Error, Result};

/// What the book calls the two sides.
const MODES: [&str; 2] = ["trn", "val"];

/// Bins of the histograms of probabilities.
const BINS: usize = 50;

/// Gathers a table of 3 rows, labels, probabilities and losses, with a column for each sample. It stays on
/// the device, and is read once an epoch.
pub struct Watch {
    /// The epoch at hand, from 1.
    epoch: usize,
    /// Of training and of validation: pieces of the table, `[3, n]` each, a batch or more.
    tables: [Vec<Tensor>; 2],
    /// The batches of an epoch of both, and how many have been seen.
    batches: [usize; 2],
    seen: [usize; 2],
    estimate: Option<(usize, Estimate)>,
    /// Where the lines go that say when an epoch ends.
    progress: Option<Console>,
    tensorboard: Option<[SummaryWriter; 2]>,
    /// Samples trained on in an epoch: the x axis of TensorBoard's charts.
    samples: usize,
    crops: Arc<Crops>,
}

impl Watch {
    /// For epochs of `batches` batches of training and of validation, `samples` samples of training, after
    /// `epochs` finished ones. `progress` gets the lines that say when an epoch will end.
    pub fn new(
        epochs: usize,
        batches: [usize; 2],
        samples: usize,
        crops: Arc<Crops>,
        progress: Option<Console>,
    ) -> Watch {
        Watch {
            epoch: epochs + 1,
            tables: Default::default(),
            batches,
            seen: [0; 2],
            estimate: None,
            progress,
            tensorboard: None,
            samples,
            crops,
        }
    }

    /// Writes TensorBoard's files of both sides to their folders. Where a run goes on, what was written of
    /// the epoch at hand is written once more.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn write_tensorboard(&mut self, folders: [&Path; 2]) -> Result<()> {
        let step = (self.epoch * self.samples) as u64;
        let open = |folder: &Path| match self.epoch {
            1 => SummaryWriter::create(folder),
            _ => SummaryWriter::resume(folder, step),
        };
        self.tensorboard = Some([open(folders[0])?, open(folders[1])?]);
        Ok(())
    }

    /// Says when the epoch's training or validation will end, if a line is due.
    fn estimate(&mut self, side: usize) {
        let Some(console) = &mut self.progress else { return };
        if self.estimate.as_ref().is_none_or(|(of, _)| *of != side) {
            let what = format!("E{} {}", self.epoch, ["Training", "Validation"][side]);
            let estimate = Estimate::new(what, self.batches[side]);
            console.say(&estimate.start());
            self.estimate = Some((side, estimate));
        }
        if let Some(line) = self.estimate.as_ref().and_then(|(_, estimate)| estimate.after(self.seen[side])) {
            console.say(&line);
        }
    }

    fn write(&mut self, side: usize, table: &Table, scores: &Scores, step: u64) -> Result<()> {
        let Some(writer) = self.tensorboard.as_mut().map(|writers| &mut writers[side]) else { return Ok(()) };
        for (tag, value) in scores.named() {
            writer.scalar(tag, value, step)?;
        }
        let pairs = table.pairs();
        writer.pr_curve("pr", &pairs, step)?;
        for (tag, nodules) in [("is_neg", false), ("is_pos", true)] {
            // As in the book: those that are right without any doubt would hide the rest.
            let in_doubt = |p: f64| if nodules { p < 0.99 } else { p > 0.01 };
            let of_class =
                pairs.iter().filter(|(p, nodule)| *nodule == nodules && in_doubt(*p)).map(|(p, _)| *p);
            writer.histogram(tag, &of_class.collect::<Vec<_>>(), &unit_edges(BINS), step)?;
        }
        writer.flush()
    }
}

impl Observer for Watch {
    fn batch(&mut self, split: Split, outputs: &Tensor, targets: &Tensor) -> Result<()> {
        let side = usize::from(split == Split::Val);
        let options = CrossEntropyOptions { reduction: Reduction::None, ..Default::default() };
        let piece = no_grad(|| {
            let losses = outputs.cross_entropy(targets, &options)?;
            let probabilities = outputs.softmax(1)?.narrow(1, 1, 1)?;
            let labels = targets.to_dtype(DType::F32)?;
            let row = |x: &Tensor| x.reshape([1, targets.numel()]);
            Tensor::cat(&[&row(&labels)?, &row(&probabilities)?, &row(&losses)?], 0)
        })?;
        self.tables[side].push(piece);
        self.seen[side] += 1;
        self.estimate(side);
        Ok(())
    }

    fn epoch(&mut self, metrics: &EpochMetrics, console: &mut Console) -> Result<Vec<(String, f64)>> {
        let step = (metrics.epoch * self.samples) as u64;
        let mut measured = Vec::new();
        for side in 0..2 {
            let table = read(&std::mem::take(&mut self.tables[side]))?;
            let scores = Scores::of(&table);
            scores.lines(metrics.epoch, MODES[side]).iter().for_each(|line| console.say(line));
            self.write(side, &table, &scores, step)?;
            for (name, value) in scores.named() {
                // Both losses are among the measurements already.
                if name != "loss/all" {
                    measured.push((format!("{}_{}", ["train", "val"][side], short(name)), value));
                }
            }
        }
        (self.epoch, self.seen, self.estimate) = (metrics.epoch + 1, [0; 2], None);
        if let Some(cache) = self.crops.cache() {
            cache.notes().iter().for_each(|note| console.say(note));
        }
        Ok(measured)
    }

    fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let pieces: Vec<&Tensor> = self.tables[0].iter().collect();
        if pieces.is_empty() {
            return Ok(Vec::new());
        }
        Ok(vec![("table".to_string(), Tensor::cat(&pieces, 1)?)])
    }

    fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        let mut tables: [Vec<Tensor>; 2] = Default::default();
        for (name, tensor) in state {
            if name != "table" || !matches!(tensor.shape()[..], [3, _]) {
                let shape = tensor.shape();
                return Err(Error::Run(format!("{name:?} of shape {shape} is no table of samples")));
            }
            tables[0].push(tensor.clone());
        }
        // Whole batches: a run stops between two.
        let columns: usize = tables[0].iter().map(|piece| piece.numel() / 3).sum();
        self.seen = [columns / self.samples.div_ceil(self.batches[0].max(1)).max(1), 0];
        self.tables = tables;
        Ok(())
    }
}

/// `correct/pos` is `correct_pos` among the measurements, `pr/f1_score` is `f1`.
fn short(name: &str) -> String {
    match name {
        "pr/f1_score" => "f1".to_string(),
        name => name.trim_start_matches("pr/").replace('/', "_"),
    }
}

/// Reads all pieces of a table at once.
fn read(pieces: &[Tensor]) -> Result<Table> {
    let cpu = voxgrad_engine::Device::cpu();
    // What a run was resumed with lies on the CPU.
    let on_cpu: Vec<Tensor> = match pieces.iter().all(|piece| piece.device() == pieces[0].device()) {
        true => pieces.to_vec(),
        false => pieces.iter().map(|piece| piece.to(&cpu)).collect::<voxgrad_engine::Result<_>>()?,
    };
    let values = Tensor::read_all::<f32>(&on_cpu)?;
    let mut table = Table::default();
    let mut rest = &values[..];
    for piece in pieces {
        let n = piece.numel() / 3;
        let (labels, more) = rest.split_at(n);
        let (probabilities, more) = more.split_at(n);
        let (losses, more) = more.split_at(n);
        table.labels.extend(labels);
        table.probabilities.extend(probabilities);
        table.losses.extend(losses);
        rest = more;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::Device;

    use super::*;

    /// Two batches of logits: probabilities 1/2, 3/4; 1/4, and their labels.
    fn batches() -> [(Tensor, Tensor); 2] {
        let cpu = Device::cpu();
        let ln3 = 3f32.ln();
        let logits = |values: &[f32]| Tensor::new(values, [values.len() / 2, 2], &cpu).unwrap();
        let labels = |values: &[u32]| Tensor::new(values, [values.len()], &cpu).unwrap();
        [(logits(&[0.0, 0.0, 0.0, ln3]), labels(&[0, 1])), (logits(&[ln3, 0.0]), labels(&[1]))]
    }

    #[test]
    fn the_table_has_a_column_for_each_sample_and_survives_a_stop() {
        let folder = tempfile::tempdir().unwrap();
        let crops = Arc::new(super::super::tests::crops(folder.path(), 1));
        let mut watch = Watch::new(0, [2, 1], 3, crops.clone(), None);
        let [first, second] = batches();
        watch.batch(Split::Train, &first.0, &first.1).unwrap();
        let state = watch.state().unwrap();
        assert_eq!(state[0].1.shape()[..], [3, 2]);

        let mut resumed = Watch::new(0, [2, 1], 3, crops, None);
        resumed.load_state(&state).unwrap();
        for watch in [&mut watch, &mut resumed] {
            watch.batch(Split::Train, &second.0, &second.1).unwrap();
            let table = read(&watch.tables[0]).unwrap();
            assert_eq!(table.labels, [0.0, 1.0, 1.0]);
            let near = |values: &[f32], expected: [f32; 3]| {
                assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{values:?}");
            };
            near(&table.probabilities, [0.5, 0.75, 0.25]);
            near(&table.losses, [0.5, 0.75, 0.25].map(|p: f32| -p.ln()));
        }
        let message = resumed.load_state(&[("other".into(), state[0].1.clone())]).unwrap_err().to_string();
        assert!(message.contains("\"other\" of shape [3, 2] is no table of samples"), "{message}");
    }
}
