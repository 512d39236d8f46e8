//! Convolutions; the formulas stand in `kernels/src/ops/conv/mod.rs`.

use voxgrad_kernels::ops::conv::{self, Conv};

use super::matmul::{bias_gradient, when};
use crate::error::shape_error;
use crate::{Result, Tensor, recorder};

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

    fn conv<const N: usize>(
        &self,
        op: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        ConvOptions { stride, padding, dilation, groups }: ConvOptions<N>,
    ) -> Result<Tensor> {
        recorder::begin(weight);
        let p = Conv::new(op, self.shape(), weight.shape(), stride, padding, dilation, groups)?;
        let outputs = weight.shape()[0];
        if let Some(bias) = bias.filter(|bias| bias.shape()[..] != [outputs]) {
            return shape_error(op, format!("bias is {}, weight has {outputs} outputs", bias.shape()));
        }
        let (x, w, b) = (self.storage(), weight.storage(), bias.map(Tensor::storage));
        let y = conv::forward(&p, &x, &w, b.as_deref())?;
        let shape = p.output_shape::<N>();
        let places = shape[2..].iter().product();
        let all: Vec<&Tensor> = [self, weight].into_iter().chain(bias).collect();
        Ok(Tensor::from_op(op, y, shape, &all, move |dy, wanted| {
            let mut grads = vec![
                when(wanted[0], || conv::backward_input(&p, dy, &w))?,
                when(wanted[1], || conv::backward_weight(&p, dy, &x))?,
            ];
            if let Some(&wanted) = wanted.get(2) {
                grads.push(bias_gradient(wanted, dy, [p.batch as usize, outputs, places])?);
            }
            Ok(grads)
        }))
    }
}
