//! Build, compile, fit: the shape that Keras gives to a training, over the trainer of all lessons.
//!
//! ```
//! # use std::sync::atomic::AtomicBool;
//! use voxgrad_engine::nn::{Linear, ReLU, Sequential, Sigmoid};
//! use voxgrad_engine::{Device, Tensor, manual_seed};
//! use voxgrad_models::keras::{Fit, Model};
//! # use voxgrad_models::trainer::{Console, RunDir};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! # let (run, mut console) = (RunDir::open(dir.path(), false)?, Console::to(std::io::sink()));
//! let x = Tensor::new(&[0.0f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [4, 2], &Device::cpu())?;
//! let y = Tensor::new(&[0u32, 1, 1, 0], [4], &Device::cpu())?;
//!
//! manual_seed(0);
//! let net = Sequential::new().append(Linear::new(2, 8)?).append(ReLU);
//! let mut model = Model::new(net.append(Linear::new(8, 1)?).append(Sigmoid));
//! model.compile("binary_crossentropy", "adam", &["accuracy"])?;
//! let mut fit = Fit::new(&run, &mut console);
//! fit.validation_data = Some((&x, &y));
//! let history = model.fit(&x, &y, 5, 2, fit)?;
//! assert_eq!(history.get("val_accuracy").unwrap().len(), 5);
//! # Ok::<(), voxgrad_models::Error>(())
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use voxgrad_engine::data::{DataLoader, TensorDataset};
use voxgrad_engine::nn::{Module, Sequential};
use voxgrad_engine::optim::{Adagrad, Adam, AdamW, Optimizer, RMSprop, SGD};
use voxgrad_engine::{Device, Tensor, no_grad};

use crate::losses::Loss;
use crate::metrics::{Metric, Predictions};
use crate::trainer::{
    Console, EpochMetrics, Loaders, Measure, Outcome, RunDir, Trainer, evaluate_by, every_epoch,
};
use crate::{Error, Result};

/// Something that is given by its name or as it is: a [`Loss`] or a [`Metric`].
pub trait Named<T> {
    /// The thing itself.
    ///
    /// # Errors
    /// [`Error::Usage`] with the names there are.
    fn find(&self) -> Result<T>;
}

/// A loss or a metric, and its name.
macro_rules! named {
    ($($T:ty),*) => { $(
        impl Named<$T> for $T {
            fn find(&self) -> Result<$T> {
                Ok(*self)
            }
        }
        impl Named<$T> for &str {
            fn find(&self) -> Result<$T> {
                self.parse()
            }
        }
    )* };
}
named!(Loss, Metric);

/// An optimizer, or the name of one.
pub trait IntoOptimizer {
    /// The optimizer of these parameters.
    ///
    /// # Errors
    /// [`Error::Usage`] with the names there are.
    fn of(self, parameters: Vec<Tensor>) -> Result<Box<dyn Optimizer>>;
}

/// One that was made of the network's parameters already.
impl IntoOptimizer for Box<dyn Optimizer> {
    fn of(self, _: Vec<Tensor>) -> Result<Box<dyn Optimizer>> {
        Ok(self)
    }
}

/// The names of all optimizers, each with the learning rate that it has by its name.
pub const OPTIMIZERS: [(&str, f64); 5] =
    [("sgd", 0.01), ("adam", 0.001), ("adamw", 0.001), ("rmsprop", 0.001), ("adagrad", 0.001)];

/// With Keras' learning rate and PyTorch's other defaults.
impl IntoOptimizer for &str {
    fn of(self, parameters: Vec<Tensor>) -> Result<Box<dyn Optimizer>> {
        let found = OPTIMIZERS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(self));
        let Some((name, lr)) = found else {
            let names = OPTIMIZERS.map(|(name, _)| name).join(", ");
            return Err(Error::Usage(format!("there is no optimizer {self:?}; there are {names}")));
        };
        Ok(match name {
            "sgd" => Box::new(SGD::new(parameters, lr)?),
            "adam" => Box::new(Adam::new(parameters, lr)?),
            "adamw" => Box::new(AdamW::new(parameters, lr)?),
            "rmsprop" => Box::new(RMSprop::new(parameters, lr)?),
            _ => Box::new(Adagrad::new(parameters, lr)?),
        })
    }
}

/// A network, and once it is compiled what it takes to train it.
pub struct Model {
    /// The layers.
    pub net: Sequential,
    compiled: Option<Compiled>,
}

struct Compiled {
    loss: Loss,
    optimizer: Box<dyn Optimizer>,
    metrics: Vec<Metric>,
}

/// What a fit is told beside its samples.
pub struct Fit<'a> {
    /// Samples that the network never learns from; those that it learns from where there are none.
    pub validation_data: Option<(&'a Tensor, &'a Tensor)>,
    /// The order of the samples comes from it, another one in each epoch.
    pub seed: u64,
    /// Whether to go on with the run in `run`, which was made with the same settings.
    pub resume: bool,
    /// Whether to show where the time goes, see [`Trainer::profile`].
    pub profile: bool,
    /// Ends the fit after the batch at hand, with everything saved.
    pub stop: Arc<AtomicBool>,
    /// Where measurements, pictures and weights go.
    pub run: &'a RunDir,
    /// Where a line for each epoch goes.
    pub console: &'a mut Console,
}

impl<'a> Fit<'a> {
    /// A new training in a directory, whose lines go to `console`.
    pub fn new(run: &'a RunDir, console: &'a mut Console) -> Fit<'a> {
        Fit {
            validation_data: None,
            seed: 0,
            resume: false,
            profile: false,
            stop: Arc::default(),
            run,
            console,
        }
    }
}

/// What came of a fit.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The measurements of each epoch.
    pub epochs: Vec<EpochMetrics>,
    /// How it ended.
    pub outcome: Outcome,
}

impl History {
    /// A measurement in each epoch by Keras' name: `loss`, `accuracy` and each other metric of the training
    /// pass, before each step; `val_loss`, `val_accuracy` and so on of the validation data after the epoch.
    /// `None` for a name that was not measured.
    pub fn get(&self, name: &str) -> Option<Vec<f64>> {
        let ours = match name {
            "loss" => "train_loss".to_string(),
            "accuracy" => "train_acc".to_string(),
            "val_accuracy" => "val_acc".to_string(),
            _ if name.starts_with("val_") || name == "lr" => name.to_string(),
            _ => format!("train_{name}"),
        };
        let values: Option<Vec<f64>> = self.epochs.iter().map(|epoch| epoch.get(&ours)).collect();
        values.filter(|values| !values.is_empty())
    }
}

impl Model {
    /// A network that is not compiled yet.
    pub fn new(net: Sequential) -> Model {
        Model { net, compiled: None }
    }

    /// Chooses what a training makes small, how, and what it measures in every epoch: each by its name or
    /// by value. The network has to be on its device by now.
    ///
    /// # Errors
    /// [`Error::Usage`] for a name that there is none of, with those there are.
    pub fn compile<M: Named<Metric>>(
        &mut self,
        loss: impl Named<Loss>,
        optimizer: impl IntoOptimizer,
        metrics: &[M],
    ) -> Result<()> {
        let (loss, metrics) = (loss.find()?, metrics.iter().map(Named::find).collect::<Result<_>>()?);
        let optimizer = optimizer.of(self.net.parameters())?;
        self.compiled = Some(Compiled { loss, optimizer, metrics });
        Ok(())
    }

    /// Trains on the samples `x: [N, ..]` with the classes `y: [N]` until `epochs` epochs are done.
    /// The accuracy is that of the training pass itself, as in Keras.
    ///
    /// # Errors
    /// When the model isn't compiled, when `x` and `y` don't fit each other or the network, and for
    /// whatever goes wrong in the training.
    pub fn fit(
        &mut self,
        x: &Tensor,
        y: &Tensor,
        epochs: usize,
        batch_size: usize,
        fit: Fit<'_>,
    ) -> Result<History> {
        let Fit { validation_data, seed, resume, profile, stop, run, console } = fit;
        let device = self.device();
        let (val_x, val_y) = validation_data.unwrap_or((x, y));
        let loaders = Loaders {
            train: loader(x, y, batch_size, &device)?.shuffle(seed),
            train_eval: None,
            val: loader(val_x, val_y, batch_size, &device)?,
        };
        let Some(Compiled { loss, optimizer, metrics }) = &mut self.compiled else { return not_compiled() };
        // The accuracy is measured anyway.
        let others: Vec<Metric> = metrics.iter().copied().filter(|m| *m != Metric::Accuracy).collect();
        let mut measure = Measure::new(&others, *loss);
        let mut trainer = Trainer::new(&self.net, &mut **optimizer, loaders, run, console)?;
        trainer.loss(*loss);
        trainer.report(every_epoch);
        trainer.profile(profile);
        if !others.is_empty() {
            trainer.observe(&mut measure);
        }
        if resume {
            trainer.resume(epochs)?;
        }
        let outcome = trainer.fit(epochs, &stop)?;
        Ok(History { epochs: trainer.history().to_vec(), outcome })
    }

    /// The loss and the metrics of these samples, by name.
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub fn evaluate(&self, x: &Tensor, y: &Tensor) -> Result<Vec<(String, f64)>> {
        let Some(Compiled { loss, metrics, .. }) = &self.compiled else { return not_compiled() };
        let all = loader(x, y, AT_ONCE, &self.device())?;
        let measured = evaluate_by(*loss, &self.net, &all, &AtomicBool::new(false))?;
        let mut values = vec![("loss".to_string(), measured.map_or(f64::NAN, |measured| measured.loss))];
        let predictions = Predictions::of(&self.predict(x)?, y, loss.threshold())?;
        for metric in metrics {
            values.push((metric.to_string(), metric.of(&predictions)?));
        }
        Ok(values)
    }

    /// What the network says of each sample, in evaluation mode: `[N, outputs]`, on the CPU.
    pub fn predict(&self, x: &Tensor) -> Result<Tensor> {
        self.net.eval();
        let samples = x.shape().first().copied().unwrap_or(0);
        let batch = |start: usize| {
            let part = x.narrow(0, start, AT_ONCE.min(samples - start))?.to(&self.device())?;
            self.net.forward(&part)?.to(&Device::cpu())
        };
        let batches = no_grad(|| (0..samples).step_by(AT_ONCE).map(batch).collect::<Result<Vec<_>, _>>())?;
        Ok(Tensor::cat(&batches.iter().collect::<Vec<_>>(), 0)?)
    }

    fn device(&self) -> Device {
        self.net.parameters().first().map_or(Device::Cpu, Tensor::device)
    }
}

/// As many samples are measured at a time.
const AT_ONCE: usize = 256;

fn not_compiled<T>() -> Result<T> {
    Err(Error::Usage("the model is not compiled: call compile(loss, optimizer, metrics) first".into()))
}

fn loader(x: &Tensor, y: &Tensor, batch_size: usize, device: &Device) -> Result<DataLoader> {
    let (samples, labels) = (x.shape(), y.shape());
    if samples.is_empty() || labels[..] != samples[..1] {
        let message = format!("x is {samples} and y is {labels}: expected [N, ..] and [N]");
        return Err(voxgrad_engine::Error::Shape { op: "fit", message }.into());
    }
    let data = TensorDataset::new(x.to_vec()?, &samples[1..], y.to_vec()?)?;
    Ok(DataLoader::new(Arc::new(data), batch_size)?.device(device))
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::nn::{Linear, Sigmoid};
    use voxgrad_engine::{DType, manual_seed};

    use super::*;

    /// Class 1 is where the first number is above the second.
    fn samples() -> (Tensor, Tensor) {
        let number = |i: usize| ((i * 37 + i / 2 * 11) % 101) as f32 / 50.0 - 1.0;
        let numbers: Vec<f32> = (0..120).map(number).collect();
        let labels: Vec<u32> = numbers.chunks(2).map(|pair| u32::from(pair[0] > pair[1])).collect();
        let cpu = Device::cpu();
        (Tensor::new(&numbers, [60, 2], &cpu).unwrap(), Tensor::new(&labels, [60], &cpu).unwrap())
    }

    fn model() -> Model {
        manual_seed(4);
        Model::new(Sequential::new().append(Linear::new(2, 1).unwrap()).append(Sigmoid))
    }

    fn fit(model: &mut Model, epochs: usize) -> Result<History> {
        let dir = tempfile::tempdir().unwrap();
        let (run, mut console) = (RunDir::open(dir.path(), false)?, Console::to(std::io::sink()));
        let (x, y) = samples();
        let mut settings = Fit::new(&run, &mut console);
        settings.validation_data = Some((&x, &y));
        model.fit(&x, &y, epochs, 10, settings)
    }

    #[test]
    fn names_and_values_train_alike() {
        let mut by_name = model();
        by_name.compile("binary_crossentropy", "Adam", &["accuracy", "recall"]).unwrap();
        let mut by_value = model();
        let adam: Box<dyn Optimizer> = Box::new(Adam::new(by_value.net.parameters(), 0.001).unwrap());
        by_value.compile(Loss::BinaryCrossEntropy, adam, &[Metric::Accuracy, Metric::Recall]).unwrap();
        let (mut a, mut b) = (fit(&mut by_name, 2).unwrap(), fit(&mut by_value, 2).unwrap());
        a.epochs.iter_mut().chain(&mut b.epochs).for_each(|epoch| epoch.seconds = 0.0);
        assert_eq!(a, b);
        assert_eq!(a.outcome, Outcome::Finished);
    }

    #[test]
    fn a_history_has_keras_names() {
        let mut model = model();
        let sgd: Box<dyn Optimizer> = Box::new(SGD::new(model.net.parameters(), 1.0).unwrap());
        model.compile("binary_crossentropy", sgd, &["accuracy", "precision"]).unwrap();
        let history = fit(&mut model, 30).unwrap();
        for name in ["loss", "accuracy", "precision", "val_loss", "val_accuracy", "val_precision"] {
            assert_eq!(history.get(name).unwrap().len(), 30, "{name}");
        }
        assert!(history.get("recall").is_none() && history.get("val_f1").is_none());
        let last = |name: &str| *history.get(name).unwrap().last().unwrap();
        assert!(last("val_loss") < 0.4 * history.get("loss").unwrap()[0], "{:?}", history.get("val_loss"));

        let (x, y) = samples();
        let measured = model.evaluate(&x, &y).unwrap();
        let names: Vec<&str> = measured.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["loss", "accuracy", "precision"]);
        for (name, value) in measured {
            assert!((value - last(&format!("val_{name}"))).abs() < 1e-6, "{name}: {value}");
        }
        let said = model.predict(&x).unwrap();
        assert_eq!((&said.shape()[..], said.dtype()), (&[60, 1][..], DType::F32));
    }

    #[test]
    fn what_does_not_fit_is_explained() {
        let refusal = |result: Result<()>| result.unwrap_err().to_string();
        let mut plain = model();
        let wanted = "the model is not compiled: call compile(loss, optimizer, metrics) first";
        assert_eq!(refusal(fit(&mut plain, 1).map(drop)), wanted);
        let none: [&str; 0] = [];
        assert_eq!(
            refusal(plain.compile("mse", "newton", &none)),
            "there is no optimizer \"newton\"; there are sgd, adam, adamw, rmsprop, adagrad"
        );
        assert!(refusal(plain.compile("hinge", "sgd", &none)).starts_with("there is no loss \"hinge\""));
        assert!(refusal(plain.compile("mse", "sgd", &["iou"])).starts_with("there is no metric \"iou\""));
        plain.compile("mse", "sgd", &none).unwrap();
        let (x, y) = samples();
        let message = plain.evaluate(&x, &y.narrow(0, 0, 59).unwrap()).unwrap_err().to_string();
        assert_eq!(message, "fit: x is [60, 2] and y is [59]: expected [N, ..] and [N]");
        assert!(plain.evaluate(&x, &x.narrow(1, 0, 1).unwrap()).is_err());
    }
}
