//! burn's training steps, on its backend for processors, Flex.

use std::slice::Iter;

use burn::module::{Module, Param, ParamId};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Distribution, Int, Tensor, TensorData};
use peers::serve::{Contest, Method, Task, serve};
use peers::{Array, Layer, Start, net};

/// The layers that learn, each kind in the order of the network.
#[derive(Module, Debug)]
struct Layers {
    convolutions: Vec<Conv2d>,
    linears: Vec<Linear>,
    norms: Vec<BatchNorm>,
}

/// What flows through a network.
enum Value {
    Images(Tensor<4>),
    Rows(Tensor<2>),
}

struct Burn {
    layers: Vec<Layer>,
    model: Layers,
    optimizer: ModuleOptimizer,
    images: Tensor<4>,
    labels: Tensor<1, Int>,
    device: Device,
    start: Start,
    method: Method,
    l2: f64,
}

fn tensor<const D: usize>(array: &Array<f32>, device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(array.values.clone(), array.shape.clone()), device)
}

fn parameter<const D: usize>(array: &Array<f32>, device: &Device) -> Param<Tensor<D>> {
    Param::initialized(ParamId::new(), tensor(array, device).require_grad())
}

impl Layers {
    fn add(
        &mut self,
        layers: &[Layer],
        arrays: &mut Iter<Array<f32>>,
        device: &Device,
    ) -> Result<(), String> {
        for layer in layers {
            let mut next = || arrays.next().ok_or("the file holds too few parameters");
            match layer {
                Layer::Conv { bias } => {
                    let weight = next()?;
                    let [to, from, k, _] = weight.shape[..] else {
                        return Err("burn has no max-pooling of volumes".into());
                    };
                    let padding = PaddingConfig2d::Explicit(k / 2, k / 2, k / 2, k / 2);
                    let config = Conv2dConfig::new([from, to], [k, k]).with_padding(padding);
                    let mut conv = config.with_bias(*bias).init(device);
                    conv.weight = parameter(weight, device);
                    if *bias {
                        conv.bias = Some(parameter(next()?, device));
                    }
                    self.convolutions.push(conv);
                }
                Layer::Linear => {
                    let (weight, bias) = (next()?, next()?);
                    let [to, from] = weight.shape[..] else {
                        return Err("the weights of a linear layer are no matrix".into());
                    };
                    let mut linear = LinearConfig::new(from, to).init(device);
                    // burn has it the other way round.
                    let turned = tensor::<2>(weight, device).transpose().into_data();
                    let turned = Tensor::from_data(turned, device).require_grad();
                    linear.weight = Param::initialized(ParamId::new(), turned);
                    linear.bias = Some(parameter(bias, device));
                    self.linears.push(linear);
                }
                Layer::BatchNorm => {
                    let (weight, bias) = (next()?, next()?);
                    let mut norm = BatchNormConfig::new(weight.values.len()).init(device);
                    norm.gamma = parameter(weight, device);
                    norm.beta = parameter(bias, device);
                    self.norms.push(norm);
                }
                Layer::Residual(inner) => self.add(inner, arrays, device)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The sum of all squared parameters.
    fn squares(&self) -> Tensor<1> {
        let mut sums = Vec::new();
        for conv in &self.convolutions {
            sums.push(conv.weight.val().square().sum());
            sums.extend(conv.bias.iter().map(|bias| bias.val().square().sum()));
        }
        for linear in &self.linears {
            sums.push(linear.weight.val().square().sum());
            sums.extend(linear.bias.iter().map(|bias| bias.val().square().sum()));
        }
        for norm in &self.norms {
            sums.extend([norm.gamma.val().square().sum(), norm.beta.val().square().sum()]);
        }
        Tensor::cat(sums, 0).sum()
    }
}

/// The layers that are still to come.
struct Rest<'a> {
    convolutions: Iter<'a, Conv2d>,
    linears: Iter<'a, Linear>,
    norms: Iter<'a, BatchNorm>,
}

impl Rest<'_> {
    fn forward(&mut self, layers: &[Layer], x: Value) -> Result<Value, String> {
        layers.iter().try_fold(x, |x, layer| {
            Ok(match (layer, x) {
                (Layer::Conv { .. }, Value::Images(x)) => {
                    Value::Images(next_of(&mut self.convolutions)?.forward(x))
                }
                (Layer::Linear, Value::Rows(x)) => Value::Rows(next_of(&mut self.linears)?.forward(x)),
                (Layer::BatchNorm, Value::Images(x)) => Value::Images(next_of(&mut self.norms)?.forward(x)),
                (Layer::Tanh, Value::Images(x)) => Value::Images(x.tanh()),
                (Layer::Tanh, Value::Rows(x)) => Value::Rows(x.tanh()),
                (Layer::Relu, Value::Images(x)) => Value::Images(burn::tensor::activation::relu(x)),
                (Layer::Relu, Value::Rows(x)) => Value::Rows(burn::tensor::activation::relu(x)),
                (Layer::MaxPool, Value::Images(x)) => {
                    let options = MaxPoolOptions::new([2, 2]).with_stride([2, 2]);
                    Value::Images(max_pool2d(x, options))
                }
                (Layer::Dropout(p), Value::Images(x)) => {
                    let [n, channels, ..] = x.dims();
                    let kept = Distribution::Bernoulli(1.0 - p);
                    let mask = Tensor::<4>::random([n, channels, 1, 1], kept, &x.device());
                    Value::Images(x * mask / (1.0 - p))
                }
                (Layer::Flatten, Value::Images(x)) => Value::Rows(x.flatten(1, 3)),
                (Layer::Residual(inner), Value::Images(x)) => {
                    let Value::Images(inside) = self.forward(inner, Value::Images(x.clone()))? else {
                        return Err("a residual block must give images".into());
                    };
                    Value::Images(inside + x)
                }
                _ => return Err("a layer that does not fit its input".into()),
            })
        })
    }
}

fn next_of<'a, T>(layers: &mut Iter<'a, T>) -> Result<&'a T, &'static str> {
    layers.next().ok_or("more layers than parameters")
}

impl Burn {
    fn new(task: &Task) -> Result<Burn, String> {
        let device = Device::flex().autodiff();
        let start = Start::read(&task.file)?;
        if start.images.shape.len() != 4 {
            return Err("burn has no max-pooling of volumes".into());
        }
        let labels: Vec<i32> = start.labels.values.iter().map(|&label| label as i32).collect();
        let mut burn = Burn {
            layers: net(&task.net)?,
            model: Layers { convolutions: vec![], linears: vec![], norms: vec![] },
            optimizer: optimizer(task.method),
            images: tensor(&start.images, &device),
            labels: Tensor::from_data(TensorData::new(labels, start.labels.shape.clone()), &device),
            device,
            start,
            method: task.method,
            l2: task.l2,
        };
        burn.reset()?;
        Ok(burn)
    }
}

fn optimizer(method: Method) -> ModuleOptimizer {
    match method {
        Method::Sgd { .. } => SgdConfig::new().init(),
        Method::Adam { .. } => AdamConfig::new().with_epsilon(1e-8).init(),
    }
}

impl Contest for Burn {
    fn parameters(&self) -> usize {
        self.start.numbers()
    }

    fn reset(&mut self) -> Result<(), String> {
        self.model = Layers { convolutions: vec![], linears: vec![], norms: vec![] };
        self.model.add(&self.layers, &mut self.start.parameters.iter(), &self.device)?;
        self.optimizer = optimizer(self.method);
        Ok(())
    }

    fn step(&mut self) -> Result<f32, String> {
        let mut rest = Rest {
            convolutions: self.model.convolutions.iter(),
            linears: self.model.linears.iter(),
            norms: self.model.norms.iter(),
        };
        let Value::Rows(logits) = rest.forward(&self.layers, Value::Images(self.images.clone()))? else {
            return Err("the network must give rows".into());
        };
        let mut loss = CrossEntropyLossConfig::new().init(&self.device).forward(logits, self.labels.clone());
        if self.l2 > 0.0 {
            loss = loss + self.model.squares() * self.l2;
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &self.model);
        let lr = match self.method {
            Method::Sgd { momentum, .. } if momentum != 0.0 => return Err("momentum is not set up".into()),
            Method::Sgd { lr, .. } | Method::Adam { lr } => lr,
        };
        self.model = self.optimizer.step(lr, self.model.clone(), gradients);
        Ok(loss.into_scalar::<f32>())
    }
}

fn main() {
    serve(Burn::new);
}
