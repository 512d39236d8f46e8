//! The op table: what a case's op name means in this engine.

use serde_json::json;
use voxgrad_engine::ops::{ConvOptions, CrossEntropyOptions, PaddingMode, PoolOptions, Reduction};
use voxgrad_engine::{Tensor, manual_seed};

use crate::case::{Failure, Params, Result};

/// The inputs of a case, by name, after their views.
pub struct Inputs(pub Vec<(String, Tensor)>);

impl Inputs {
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, t)| t)
    }

    fn x(&self) -> Result<&Tensor> {
        self.named("x")
    }

    fn named(&self, name: &str) -> Result<&Tensor> {
        self.get(name).ok_or_else(|| format!("the input {name} is missing").into())
    }

    /// The tensors called `x0`, `x1`, ..
    fn numbered(&self) -> Vec<&Tensor> {
        (0..).map_while(|i| self.get(&format!("x{i}"))).collect()
    }
}

/// What an op gives: its output, and by name what else is compared.
pub type Outputs = Vec<(&'static str, Tensor)>;
type Op = fn(&Params, &Inputs) -> Result<Outputs>;

/// What an op with one output gives.
fn out<E: Into<Failure>>(result: std::result::Result<Tensor, E>) -> Result<Outputs> {
    result.map(|out| vec![("out", out)]).map_err(E::into)
}

/// Every op of the op set, under PyTorch's name.
#[rustfmt::skip]
const OPS: &[(&str, Op)] = &[
    // Convolution and pooling
    ("conv2d", |p, t| out(t.x()?.conv2d(t.named("w")?, bias(p, t)?, conv_options(p)?))),
    ("conv3d", |p, t| out(t.x()?.conv3d(t.named("w")?, bias(p, t)?, conv_options(p)?))),
    ("max_pool2d", |p, t| out(t.x()?.max_pool2d_with(pool_options(p)?))),
    ("max_pool3d", |p, t| out(t.x()?.max_pool3d_with(pool_options(p)?))),
    ("avg_pool2d", |p, t| out(t.x()?.avg_pool2d_with(pool_options(p)?))),
    ("avg_pool3d", |p, t| out(t.x()?.avg_pool3d_with(pool_options(p)?))),
    ("global_max_pool2d", |_, t| out(t.x()?.global_max_pool())),
    ("global_max_pool3d", |_, t| out(t.x()?.global_max_pool())),
    ("global_avg_pool2d", |_, t| out(t.x()?.global_avg_pool())),
    ("global_avg_pool3d", |_, t| out(t.x()?.global_avg_pool())),
    // Normalisation and dropout
    ("batch_norm1d", batch_norm),
    ("batch_norm2d", batch_norm),
    ("batch_norm3d", batch_norm),
    ("dropout", |p, t| out(dropout(p, t.x()?, Tensor::dropout))),
    ("dropout2d", |p, t| out(dropout(p, t.x()?, Tensor::dropout_channels))),
    ("dropout3d", |p, t| out(dropout(p, t.x()?, Tensor::dropout_channels))),
    // Matrix products
    ("linear", |p, t| out(t.x()?.linear(t.named("w")?, bias(p, t)?))),
    ("matmul", |_, t| out(t.x()?.matmul(t.named("y")?))),
    ("bmm", |_, t| out(t.x()?.bmm(t.named("y")?))),
    // Softmax and losses
    ("softmax", |p, t| out(t.x()?.softmax(p.integer("dim")? as isize))),
    ("log_softmax", |p, t| out(t.x()?.log_softmax(p.integer("dim")? as isize))),
    ("cross_entropy", |p, t| out(t.x()?.cross_entropy(t.named("y")?, &CrossEntropyOptions {
        weight: weight(p, t, "weight")?.cloned(),
        ignore_index: ignore_index(p)?,
        label_smoothing: p.number_or("label_smoothing", 0.0)?,
        reduction: reduction(p)?,
    }))),
    ("nll_loss", |p, t| {
        out(t.x()?.nll_loss(t.named("y")?, weight(p, t, "weight")?, ignore_index(p)?, reduction(p)?))
    }),
    ("mse_loss", |p, t| out(t.x()?.mse_loss(t.named("y")?, reduction(p)?))),
    ("l1_loss", |p, t| out(t.x()?.l1_loss(t.named("y")?, reduction(p)?))),
    ("huber_loss", |p, t| out(t.x()?.huber_loss(t.named("y")?, p.number_or("delta", 1.0)?, reduction(p)?))),
    ("bce_loss", bce),
    ("binary_cross_entropy", bce),
    ("bce_with_logits_loss", bce_with_logits),
    ("binary_cross_entropy_with_logits", bce_with_logits),
    // Element by element
    ("neg", |_, t| out(t.x()?.neg())),
    ("abs", |_, t| out(t.x()?.abs())),
    ("exp", |_, t| out(t.x()?.exp())),
    ("log", |_, t| out(t.x()?.log())),
    ("sqrt", |_, t| out(t.x()?.sqrt())),
    ("square", |_, t| out(t.x()?.square())),
    ("tanh", |_, t| out(t.x()?.tanh())),
    ("sigmoid", |_, t| out(t.x()?.sigmoid())),
    ("relu", |_, t| out(t.x()?.relu())),
    ("leaky_relu", |p, t| out(t.x()?.leaky_relu(p.number_or("negative_slope", 0.01)?))),
    ("elu", |p, t| out(t.x()?.elu(p.number_or("alpha", 1.0)?))),
    ("gelu", |p, t| { p.only("approximate", &json!("none"))?; out(t.x()?.gelu()) }),
    ("softplus", |p, t| out(t.x()?.softplus(p.number_or("beta", 1.0)?, p.number_or("threshold", 20.0)?))),
    ("clamp", |p, t| out(t.x()?.clamp(p.number_if_any("min")?, p.number_if_any("max")?))),
    // Two tensors, or a tensor and a number
    ("add", |p, t| out(binary(p, t, Tensor::add, Tensor::add_scalar))),
    ("sub", |p, t| out(binary(p, t, Tensor::sub, Tensor::sub_scalar))),
    ("mul", |p, t| out(binary(p, t, Tensor::mul, Tensor::mul_scalar))),
    ("div", |p, t| out(binary(p, t, Tensor::div, Tensor::div_scalar))),
    ("pow", |p, t| out(binary(p, t, Tensor::pow, Tensor::pow_scalar))),
    ("minimum", |_, t| out(t.x()?.minimum(t.named("y")?))),
    ("maximum", |_, t| out(t.x()?.maximum(t.named("y")?))),
    // Reductions
    ("sum", |p, t| out(t.x()?.sum(&reduced(p)?, p.flag_or("keepdim", false)?))),
    ("mean", |p, t| out(t.x()?.mean(&reduced(p)?, p.flag_or("keepdim", false)?))),
    ("var", |p, t| out(t.x()?.var(&reduced(p)?, correction(p)?, p.flag_or("keepdim", false)?))),
    ("max", |p, t| extremum(p, t, Tensor::max, Tensor::maximum)),
    ("min", |p, t| extremum(p, t, Tensor::min, Tensor::minimum)),
    ("argmax", |p, t| out(t.x()?.argmax(&reduced(p)?, p.flag_or("keepdim", false)?))),
    // Layout
    ("reshape", |p, t| out(t.x()?.view(&p.dims("shape")?))),
    ("view", |p, t| out(t.x()?.view(&p.dims("shape")?))),
    ("flatten", |p, t| {
        p.only("end_dim", &json!(-1))?;
        out(t.x()?.flatten(p.integer_if_any("start_dim")?.unwrap_or(0) as isize))
    }),
    ("squeeze", |p, t| out(t.x()?.squeeze(p.integer("dim")? as isize))),
    ("unsqueeze", |p, t| out(t.x()?.unsqueeze(p.integer("dim")? as isize))),
    ("permute", |p, t| out(permute(t.x()?, &p.dims("dims")?))),
    ("transpose", |p, t| out(transpose(p, t.x()?))),
    ("t", |_, t| out(t.x()?.t())),
    ("expand", |p, t| out(t.x()?.expand(p.sizes(if p.get("shape").is_some() { "shape" } else { "sizes" })?))),
    ("cat", |p, t| out(Tensor::cat(&t.numbered(), p.integer_if_any("dim")?.unwrap_or(0) as isize))),
    ("concat", |p, t| out(Tensor::cat(&t.numbered(), p.integer_if_any("dim")?.unwrap_or(0) as isize))),
    ("stack", |p, t| out(stack(&t.numbered(), p.integer_if_any("dim")?.unwrap_or(0) as isize))),
    ("slice", |p, t| {
        out(t.x()?.slice(p.integer("dim")? as isize, p.count("start")?, p.count("stop")?, p.count("step")?))
    }),
    ("narrow", |p, t| out(t.x()?.narrow(p.integer("dim")? as isize, p.count("start")?, p.count("length")?))),
    ("pad", |p, t| {
        p.only("mode", &json!("constant"))?;
        out(t.x()?.pad(&p.sizes("pad")?, p.number_or("value", 0.0)?))
    }),
    ("index_select", |p, t| out(t.x()?.index_select(p.integer("dim")? as isize, index(t)?))),
    // Sampling
    ("affine_grid", affine_grid),
    ("affine_grid3d", affine_grid),
    ("grid_sample", grid_sample),
    ("grid_sample3d", grid_sample),
];

/// Second names of ops: a case of the first one covers them.
const ALIASES: [&str; 6] = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "view",
    "concat",
    "affine_grid3d",
    "grid_sample3d",
];

/// The names of all ops, each once.
pub fn names() -> impl Iterator<Item = &'static str> {
    OPS.iter().map(|(name, _)| *name).filter(|name| !ALIASES.contains(name))
}

/// What `op` gives for these inputs, or None when the table does not have it.
pub fn run(op: &str, p: &Params, t: &Inputs) -> Option<Result<Outputs>> {
    let (_, op) = OPS.iter().find(|(name, _)| *name == op)?;
    Some(op(p, t).and_then(|out| p.all_read().map(|()| out)))
}

/// Whether an op computes an exponential, a logarithm or their kin, whose last bits are the
/// library's.
pub fn is_transcendental(op: &str) -> bool {
    const THEY: [&str; 15] = [
        "exp",
        "log",
        "pow",
        "tanh",
        "sigmoid",
        "elu",
        "gelu",
        "softplus",
        "softmax",
        "log_softmax",
        "cross_entropy",
        "bce_loss",
        "binary_cross_entropy",
        "bce_with_logits_loss",
        "binary_cross_entropy_with_logits",
    ];
    op == "model" || THEY.contains(&op)
}

fn bias<'a>(p: &Params, t: &'a Inputs) -> Result<Option<&'a Tensor>> {
    weight_named(p.flag_or("bias", t.get("b").is_some())?, t, "b")
}

fn weight<'a>(p: &Params, t: &'a Inputs, name: &str) -> Result<Option<&'a Tensor>> {
    weight_named(p.flag_or(name, t.get(name).is_some())?, t, name)
}

/// The input `name` where the parameters say that there is one; they have to agree.
fn weight_named<'a>(there: bool, t: &'a Inputs, name: &str) -> Result<Option<&'a Tensor>> {
    match (there, t.get(name)) {
        (true, Some(tensor)) => Ok(Some(tensor)),
        (false, None) => Ok(None),
        (there, _) => Err(format!("the parameters say {name}: {there}, the inputs say {}", !there).into()),
    }
}

fn conv_options<const N: usize>(p: &Params) -> Result<ConvOptions<N>> {
    p.only("padding_mode", &json!("zeros"))?;
    Ok(ConvOptions {
        stride: p.per_dim("stride", [1; N])?,
        padding: p.per_dim("padding", [0; N])?,
        dilation: p.per_dim("dilation", [1; N])?,
        groups: if p.get("groups").is_some() { p.count("groups")? } else { 1 },
    })
}

fn pool_options<const N: usize>(p: &Params) -> Result<PoolOptions<N>> {
    p.only("ceil_mode", &json!(false))?;
    let kernel_size = p.per_dim("kernel_size", [0; N])?;
    Ok(PoolOptions {
        kernel_size,
        stride: p.per_dim("stride", kernel_size)?,
        padding: p.per_dim("padding", [0; N])?,
        dilation: p.per_dim("dilation", [1; N])?,
        count_include_pad: p.flag_or("count_include_pad", true)?,
    })
}

fn batch_norm(p: &Params, t: &Inputs) -> Result<Outputs> {
    let affine = p.flag_or("affine", t.get("w").is_some())?;
    let (w, b) = (weight_named(affine, t, "w")?, weight_named(affine, t, "b")?);
    let running = t.get("running_mean").zip(t.get("running_var"));
    let training = p.flag_or("training", true)?;
    let (momentum, eps) = (p.number_or("momentum", 0.1)?, p.number_or("eps", 1e-5)?);
    let out = t.x()?.batch_norm(running, w, b, training, momentum, eps)?;
    let mut outputs = vec![("out", out)];
    if let Some((mean, var)) = running {
        outputs.extend([("out_running_mean", mean.clone()), ("out_running_var", var.clone())]);
    }
    Ok(outputs)
}

/// In evaluation dropout is the identity: the layer does not call the op. In training only p 0 and 1
/// have a result that does not depend on the generator.
fn dropout(p: &Params, x: &Tensor, op: fn(&Tensor, f64) -> voxgrad_engine::Result<Tensor>) -> Result<Tensor> {
    let rate = p.number_or("p", 0.5)?;
    match p.flag_or("training", true)? {
        false => Ok(x.mul_scalar(1.0)?),
        true if rate == 0.0 || rate == 1.0 => {
            manual_seed(0);
            Ok(op(x, rate)?)
        }
        true => Err(format!("dropout with p {rate} in training depends on PyTorch's generator").into()),
    }
}

fn reduction(p: &Params) -> Result<Reduction> {
    match p.text_or("reduction", "mean")?.as_str() {
        "none" => Ok(Reduction::None),
        "mean" => Ok(Reduction::Mean),
        "sum" => Ok(Reduction::Sum),
        other => Err(format!("there is no reduction {other:?}").into()),
    }
}

/// PyTorch ignores the label -100 unless told otherwise.
fn ignore_index(p: &Params) -> Result<Option<i64>> {
    Ok(Some(p.integer_if_any("ignore_index")?.unwrap_or(-100)))
}

fn bce(p: &Params, t: &Inputs) -> Result<Outputs> {
    out(t.x()?.binary_cross_entropy(t.named("y")?, weight(p, t, "weight")?, reduction(p)?))
}

fn bce_with_logits(p: &Params, t: &Inputs) -> Result<Outputs> {
    let (weight, positive) = (weight(p, t, "weight")?, weight(p, t, "pos_weight")?);
    out(t.x()?.binary_cross_entropy_with_logits(t.named("y")?, weight, positive, reduction(p)?))
}

/// `x` with the input `y`, or with the number that the parameters give under one of PyTorch's names.
fn binary(
    p: &Params,
    t: &Inputs,
    with_tensor: fn(&Tensor, &Tensor) -> voxgrad_engine::Result<Tensor>,
    with_number: fn(&Tensor, f64) -> voxgrad_engine::Result<Tensor>,
) -> Result<Tensor> {
    p.only("alpha", &json!(1))?;
    p.only("rounding_mode", &json!(null))?;
    if let Some(y) = t.get("y") {
        return Ok(with_tensor(t.x()?, y)?);
    }
    for name in ["exponent", "other", "scalar"] {
        if let Some(number) = p.number_if_any(name)? {
            return Ok(with_number(t.x()?, number)?);
        }
    }
    Err("there is neither an input y nor a number".into())
}

/// The reduced dimensions, under either of the two names; all when there are none.
fn reduced(p: &Params) -> Result<Vec<isize>> {
    let dims = p.dims("dim")?;
    if dims.is_empty() { p.dims("dims") } else { Ok(dims) }
}

/// What is subtracted from the count in a variance: PyTorch's `correction`, or its older `unbiased`.
fn correction(p: &Params) -> Result<usize> {
    let unbiased = p.flag_or("unbiased", true)?;
    if p.get("correction").is_some() { p.count("correction") } else { Ok(usize::from(unbiased)) }
}

/// `max` or `min` over dimensions: the values and their indices.
type Over = fn(&Tensor, &[isize], bool) -> voxgrad_engine::Result<(Tensor, Tensor)>;

/// A maximum over dimensions with its indices, or of two tensors.
fn extremum(
    p: &Params,
    t: &Inputs,
    over: Over,
    of_two: fn(&Tensor, &Tensor) -> voxgrad_engine::Result<Tensor>,
) -> Result<Outputs> {
    if let Some(y) = t.get("y") {
        return Ok(vec![("out", of_two(t.x()?, y)?)]);
    }
    let (values, indices) = over(t.x()?, &reduced(p)?, p.flag_or("keepdim", false)?)?;
    Ok(vec![("out", values), ("indices", indices)])
}

pub fn permute(x: &Tensor, dims: &[isize]) -> Result<Tensor> {
    let dims =
        dims.iter().map(|&d| x.shape().dim("permute", d)).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(x.permute(&dims)?)
}

/// PyTorch names the two dimensions `dim0` and `dim1`; a case may list them as `dims`.
fn transpose(p: &Params, x: &Tensor) -> Result<Tensor> {
    let (a, b) = match p.dims("dims")?[..] {
        [a, b] => (a, b),
        _ => (p.integer("dim0")? as isize, p.integer("dim1")? as isize),
    };
    Ok(x.transpose(a, b)?)
}

fn stack(all: &[&Tensor], dim: isize) -> Result<Tensor> {
    let all = all.iter().map(|x| x.unsqueeze(dim)).collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Tensor::cat(&all.iter().collect::<Vec<_>>(), dim)?)
}

fn index(t: &Inputs) -> Result<&Tensor> {
    t.get("index").or(t.get("indices")).map_or_else(|| t.named("y"), Ok)
}

fn affine_grid(p: &Params, t: &Inputs) -> Result<Outputs> {
    let theta = t.get("theta").map_or_else(|| t.x(), Ok)?;
    let size: [usize; 5] = p.per_dim("size", [0; 5])?;
    out(Tensor::affine_grid3d(theta, size, p.flag_or("align_corners", false)?))
}

fn grid_sample(p: &Params, t: &Inputs) -> Result<Outputs> {
    p.only("mode", &json!("bilinear"))?;
    let padding = match p.text_or("padding_mode", "zeros")?.as_str() {
        "zeros" => PaddingMode::Zeros,
        "border" => PaddingMode::Border,
        other => return Err(format!("there is no padding mode {other:?}").into()),
    };
    out(t.x()?.grid_sample3d(t.named("grid")?, padding, p.flag_or("align_corners", false)?))
}
