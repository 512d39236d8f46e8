//! Convolutions; the formulas stand in `kernels/src/ops/conv/mod.rs`.

use std::sync::Arc;

use voxgrad_kernels::Storage;
use voxgrad_kernels::ops::conv::{self, Conv};
use voxgrad_kernels::ops::elementwise::{self, Unary};
use voxgrad_kernels::ops::pool;

use super::PoolOptions;
use super::matmul::{bias_gradient, when};
use crate::autograd::Grad;
use crate::error::shape_error;
use crate::{PerDim, Result, Shape, Tensor, is_grad_enabled, recorder};

/// Options of a convolution over `N` spatial dimensions, with PyTorch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Steps between neighbouring outputs.
    pub stride: [usize; N],
    /// Zeros added on either side of the input.
    pub padding: [usize; N],
    /// Steps between neighbouring elements of the kernel.
    pub dilation: [usize; N],
    /// Independent slices of the channels: output channels of one group see only its inputs.
    pub groups: usize,
}

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        ConvOptions { stride: [1; N], padding: [0; N], dilation: [1; N], groups: 1 }
    }
}

/// What follows a convolution in most networks: a function of every element, and max-pooling.
///
/// `conv.forward_then(&x, Then::tanh().max_pool(2))` gives what `conv.forward(&x)?.tanh()?.max_pool2d(2)` gives,
/// bit for bit, in less time on a processor: the function is computed before the sums have left the core, as are the
/// gradients, and where none is recorded only the maxima are ever stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Then {
    function: Unary,
    max_pool: Option<usize>,
}

impl Then {
    /// max(x, 0).
    pub fn relu() -> Then {
        Then { function: Unary::Relu, max_pool: None }
    }

    /// The hyperbolic tangent.
    pub fn tanh() -> Then {
        Then { function: Unary::Tanh, max_pool: None }
    }

    /// And then the maximum of every window of this size in each dimension, side by side.
    pub fn max_pool(self, kernel_size: usize) -> Then {
        Then { max_pool: Some(kernel_size), ..self }
    }

    /// What the op is called that does all of it.
    fn op(self, conv: &'static str) -> &'static str {
        match (conv, self.function, self.max_pool) {
            ("conv2d", Unary::Tanh, None) => "conv2d_tanh",
            ("conv2d", _, None) => "conv2d_relu",
            ("conv2d", Unary::Tanh, _) => "conv2d_tanh_max_pool2d",
            ("conv2d", ..) => "conv2d_relu_max_pool2d",
            (_, Unary::Tanh, None) => "conv3d_tanh",
            (_, _, None) => "conv3d_relu",
            (_, Unary::Tanh, _) => "conv3d_tanh_max_pool3d",
            _ => "conv3d_relu_max_pool3d",
        }
    }
}

/// A convolution whose sizes have been found to fit.
struct Ready {
    p: Conv,
    x: Arc<Storage>,
    w: Arc<Storage>,
    bias: Option<Arc<Storage>>,
    shape: Shape,
}

impl Ready {
    /// The gradients of what went in.
    fn backward(&self, dy: &Arc<Storage>, wanted: &[bool]) -> Result<Vec<Grad>> {
        let Ready { p, x, w, shape, .. } = self;
        let mut grads = vec![
            when(wanted[0], || conv::backward_input(p, dy, w))?,
            when(wanted[1], || conv::backward_weight(p, dy, x))?,
        ];
        if let Some(&wanted) = wanted.get(2) {
            grads.push(bias_gradient(wanted, dy, [shape[0], shape[1], shape[2..].iter().product()])?);
        }
        Ok(grads)
    }
}

impl Tensor {
    /// Convolution of images: `x: [N, C, H, W]`, `weight: [O, C / groups, KH, KW]`, `bias: [O]`.
    pub fn conv2d(&self, weight: &Tensor, bias: Option<&Tensor>, options: ConvOptions<2>) -> Result<Tensor> {
        self.conv("conv2d", weight, bias, options)
    }

    /// Convolution of volumes: `x: [N, C, D, H, W]`, `weight: [O, C / groups, KD, KH, KW]`,
    /// `bias: [O]`.
    pub fn conv3d(&self, weight: &Tensor, bias: Option<&Tensor>, options: ConvOptions<3>) -> Result<Tensor> {
        self.conv("conv3d", weight, bias, options)
    }

    /// [`Tensor::conv2d`], and what follows it.
    pub fn conv2d_then(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: ConvOptions<2>,
        then: Then,
    ) -> Result<Tensor> {
        self.conv_then("conv2d", weight, bias, options, then, |z, size| z.max_pool2d(size))
    }

    /// [`Tensor::conv3d`], and what follows it.
    pub fn conv3d_then(
        &self,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: ConvOptions<3>,
        then: Then,
    ) -> Result<Tensor> {
        self.conv_then("conv3d", weight, bias, options, then, |z, size| z.max_pool3d(size))
    }

    fn conv<const N: usize>(
        &self,
        op: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: ConvOptions<N>,
    ) -> Result<Tensor> {
        let ready = self.ready(op, weight, bias, options)?;
        let y = conv::forward(&ready.p, &ready.x, &ready.w, ready.bias.as_deref())?;
        let all: Vec<&Tensor> = [self, weight].into_iter().chain(bias).collect();
        let shape = ready.shape.clone();
        Ok(Tensor::from_op(op, y, shape, &all, move |dy, wanted| ready.backward(dy, wanted)))
    }

    fn conv_then<const N: usize>(
        &self,
        op: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        options: ConvOptions<N>,
        then: Then,
        max_pool: impl FnOnce(&Tensor, usize) -> Result<Tensor>,
    ) -> Result<Tensor>
    where
        usize: PerDim<N>,
    {
        let ready = self.ready(op, weight, bias, options)?;
        let pool_op = if op == "conv2d" { "max_pool2d" } else { "max_pool3d" };
        let pool = then.max_pool.map(|size| ready.shape.pooling(pool_op, &PoolOptions::<N>::new(size)));
        if recorder::is_recording() || matches!(pool, Some(Err(_))) {
            // Who looks at the ops of a network wants to see each, and the one that went wrong.
            let z = self.conv(op, weight, bias, options)?.unary(then.function, [0.0; 2])?;
            return then.max_pool.map_or(Ok(z.clone()), |size| max_pool(&z, size));
        }
        let (x, w, b) = (&ready.x, &ready.w, ready.bias.as_deref());
        let function = (then.function, [0.0; 2]);
        let mut all = conv::Then { function: Some(function), max_pool: None };
        let inputs: Vec<&Tensor> = [self, weight].into_iter().chain(bias).collect();
        let Some((pool, shape)) = pool.transpose()? else {
            let z = Arc::new(conv::forward_then(&ready.p, x, w, b, &all)?);
            let (shape, saved) = (ready.shape.clone(), z.clone());
            return Ok(Tensor::from_op(then.op(op), z, shape, &inputs, move |dy, wanted| {
                let dz = elementwise::unary_backward_in_place(function.0, function.1, Some(&saved), dy)?;
                ready.backward(&dz, wanted)
            }));
        };
        if !(is_grad_enabled() && inputs.iter().any(|input| input.is_tracked())) {
            all.max_pool = Some(pool);
            let y = conv::forward_then(&ready.p, x, w, b, &all)?;
            return Ok(Tensor::from_op(then.op(op), y, shape, &inputs, |_, _| unreachable!("not tracked")));
        }
        let z = conv::forward_then(&ready.p, x, w, b, &all)?;
        let (y, argmax) = pool::max_forward(&pool, &z)?;
        Ok(Tensor::from_op(then.op(op), y, shape, &inputs, move |dy, wanted| {
            let Ready { p, x, w, .. } = &ready;
            let bias = wanted.get(2).copied();
            let of_inside = [wanted[1], bias == Some(true), wanted[0]];
            let of = conv::backward_then(p, x, function, &z, &pool, &argmax, dy, of_inside)?;
            let dx = of.dz.map(|dz| conv::backward_input(p, &dz, w)).transpose()?;
            let mut grads = vec![dx, of.weight];
            grads.extend(bias.map(|_| of.bias));
            Ok(grads.into_iter().map(|grad| grad.map(Arc::new)).collect())
        }))
    }

    /// Checks the sizes of a convolution.
    fn ready<const N: usize>(
        &self,
        op: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        ConvOptions { stride, padding, dilation, groups }: ConvOptions<N>,
    ) -> Result<Ready> {
        recorder::begin(weight);
        let p = Conv::new(op, self.shape(), weight.shape(), stride, padding, dilation, groups)?;
        let outputs = weight.shape()[0];
        if let Some(bias) = bias.filter(|bias| bias.shape()[..] != [outputs]) {
            return shape_error(op, format!("bias is {}, weight has {outputs} outputs", bias.shape()));
        }
        let (x, w, bias) = (self.storage(), weight.storage(), bias.map(Tensor::storage));
        Ok(Ready { p, x, w, bias, shape: p.output_shape::<N>().into() })
    }
}
