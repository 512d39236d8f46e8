//! candle's training steps.
//!
//! candle 0.11 divides the gradient of max-pooling by the window's size where one element is the largest, so its losses
//! are not those of the others after the first step. The work is the same.

use std::slice::Iter;

use candle_core::{D, Device, Result, Tensor, Var};
use candle_nn::{
    AdamW, BatchNorm, Conv2d, Conv2dConfig, Linear, Module, ModuleT, Optimizer, ParamsAdamW, SGD,
};
use peers::serve::{Contest, Method, Task, serve, text};
use peers::{Array, Layer, Start, net};

/// A layer with its parameters.
enum Built {
    Conv(Conv2d),
    Linear(Linear),
    BatchNorm(BatchNorm),
    Tanh,
    Relu,
    MaxPool,
    Dropout(f32),
    Flatten,
    Residual(Vec<Built>),
}

enum Optimiser {
    Sgd(SGD),
    Adam(AdamW),
}

struct Candle {
    net: Vec<Built>,
    images: Tensor,
    labels: Tensor,
    start: Start,
    variables: Vec<Var>,
    optimizer: Optimiser,
    method: Method,
    l2: f64,
}

fn tensor<T: candle_core::WithDType>(array: &Array<T>) -> Result<Tensor> {
    Tensor::from_slice(&array.values, array.shape.clone(), &Device::Cpu)
}

/// The next of the file's parameters.
fn next(variables: &mut Iter<Var>) -> Result<Tensor> {
    match variables.next() {
        Some(variable) => Ok(variable.as_tensor().clone()),
        None => candle_core::bail!("the file holds too few parameters"),
    }
}

fn build(layers: &[Layer], variables: &mut Iter<Var>) -> Result<Vec<Built>> {
    let built = layers.iter().map(|layer| {
        Ok(match layer {
            Layer::Conv { bias } => {
                let weight = next(variables)?;
                let config = Conv2dConfig { padding: weight.dim(D::Minus1)? / 2, ..Default::default() };
                Built::Conv(Conv2d::new(weight, bias.then(|| next(variables)).transpose()?, config))
            }
            Layer::Linear => Built::Linear(Linear::new(next(variables)?, Some(next(variables)?))),
            Layer::BatchNorm => {
                let (weight, bias) = (next(variables)?, next(variables)?);
                let (mean, var) = (weight.zeros_like()?, weight.ones_like()?);
                Built::BatchNorm(BatchNorm::new(weight.elem_count(), mean, var, weight, bias, 1e-5)?)
            }
            Layer::Tanh => Built::Tanh,
            Layer::Relu => Built::Relu,
            Layer::MaxPool => Built::MaxPool,
            Layer::Dropout(p) => Built::Dropout(*p as f32),
            Layer::Flatten => Built::Flatten,
            Layer::Residual(inner) => Built::Residual(build(inner, variables)?),
        })
    });
    built.collect()
}

fn forward(layers: &[Built], x: &Tensor) -> Result<Tensor> {
    layers.iter().try_fold(x.clone(), |x, layer| match layer {
        Built::Conv(conv) => conv.forward(&x),
        Built::Linear(linear) => linear.forward(&x),
        Built::BatchNorm(norm) => norm.forward_t(&x, true),
        Built::Tanh => x.tanh(),
        Built::Relu => x.relu(),
        Built::MaxPool => x.max_pool2d(2),
        Built::Dropout(p) => {
            let (n, channels, ..) = x.dims4()?;
            let ones = Tensor::ones((n, channels, 1, 1), x.dtype(), x.device())?;
            x.broadcast_mul(&candle_nn::ops::dropout(&ones, *p)?)
        }
        Built::Flatten => x.flatten_from(1),
        Built::Residual(inner) => forward(inner, &x)? + &x,
    })
}

fn optimizer(method: Method, variables: Vec<Var>) -> Result<Optimiser> {
    Ok(match method {
        Method::Sgd { momentum, .. } if momentum != 0.0 => candle_core::bail!("candle's SGD has no momentum"),
        Method::Sgd { lr, .. } => Optimiser::Sgd(SGD::new(variables, lr)?),
        Method::Adam { lr } => {
            // Without decay it is Adam.
            let parameters = ParamsAdamW { lr, weight_decay: 0.0, ..Default::default() };
            Optimiser::Adam(AdamW::new(variables, parameters)?)
        }
    })
}

impl Candle {
    fn new(task: &Task) -> std::result::Result<Candle, String> {
        let (layers, start) = (net(&task.net)?, Start::read(&task.file)?);
        text(Candle::of(&layers, start, task))
    }

    fn of(layers: &[Layer], start: Start, task: &Task) -> Result<Candle> {
        let variables = start.parameters.iter().map(|array| Var::from_tensor(&tensor(array)?));
        let variables: Vec<Var> = variables.collect::<Result<_>>()?;
        Ok(Candle {
            net: build(layers, &mut variables.iter())?,
            images: tensor(&start.images)?,
            labels: tensor(&start.labels)?,
            optimizer: optimizer(task.method, variables.clone())?,
            method: task.method,
            l2: task.l2,
            variables,
            start,
        })
    }

    fn once(&mut self) -> Result<f32> {
        let mut loss = candle_nn::loss::cross_entropy(&forward(&self.net, &self.images)?, &self.labels)?;
        if self.l2 > 0.0 {
            for variable in &self.variables {
                loss = (loss + (variable.sqr()?.sum_all()? * self.l2)?)?;
            }
        }
        match &mut self.optimizer {
            Optimiser::Sgd(sgd) => sgd.backward_step(&loss)?,
            Optimiser::Adam(adam) => adam.backward_step(&loss)?,
        }
        loss.to_scalar()
    }

    fn restart(&mut self) -> Result<()> {
        for (variable, array) in self.variables.iter().zip(&self.start.parameters) {
            variable.set(&tensor(array)?)?;
        }
        self.optimizer = optimizer(self.method, self.variables.clone())?;
        Ok(())
    }
}

impl Contest for Candle {
    fn parameters(&self) -> usize {
        self.start.numbers()
    }

    fn reset(&mut self) -> std::result::Result<(), String> {
        text(self.restart())
    }

    fn step(&mut self) -> std::result::Result<f32, String> {
        text(self.once())
    }
}

fn main() {
    serve(Candle::new);
}
