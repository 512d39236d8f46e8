//! Convolutions in two and three dimensions.

use super::{Module, Slot, at_least_one, init, slots_of};
use crate::ops::{ConvOptions, Then};
use crate::{Error, PerDim, Result, Tensor};

/// Convolution of `[N, in, H, W]`, `torch.nn.Conv2d`.
///
/// ```
/// use voxgrad_engine::nn::{Conv2d, Module};
/// use voxgrad_engine::{DType, Device, Tensor};
///
/// let conv = Conv2d::new(3, 16, 3)?.padding(1).stride([1, 2]);
/// assert_eq!(conv.weight.shape()[..], [16, 3, 3, 3]);
/// let x = Tensor::zeros([64, 3, 32, 32], DType::F32, &Device::cpu())?;
/// assert_eq!(conv.forward(&x)?.shape()[..], [64, 16, 32, 16]);
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
pub type Conv2d = Conv<2>;

/// Convolution of `[N, in, D, H, W]`, `torch.nn.Conv3d`.
pub type Conv3d = Conv<3>;

/// A convolution over `D` dimensions: [`Conv2d`] or [`Conv3d`].
#[derive(Debug)]
pub struct Conv<const D: usize> {
    /// `[out, in / groups, kernel..]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
    /// Stride, padding, dilation and groups.
    pub options: ConvOptions<D>,
}

impl<const D: usize> Conv<D> {
    const NAME: &'static str = if D == 2 { "Conv2d" } else { "Conv3d" };

    /// A layer with initial values as PyTorch's: uniform within 1 / sqrt(in_channels * kernel volume).
    /// Stride 1, no padding.
    ///
    /// # Errors
    /// [`Error::Value`] for a size of 0.
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl PerDim<D>) -> Result<Self> {
        at_least_one(Self::NAME, &[("in_channels", in_channels), ("out_channels", out_channels)])?;
        let kernel = kernel_size.per_dim();
        for size in kernel {
            at_least_one(Self::NAME, &[("kernel_size", size)])?;
        }
        let (weight, bias) = init::default_parameters(&[&[out_channels, in_channels], &kernel[..]].concat())?;
        Ok(Conv { weight, bias: Some(bias), options: ConvOptions::default() })
    }

    /// Steps between neighbouring outputs.
    pub fn stride(mut self, stride: impl PerDim<D>) -> Self {
        self.options.stride = stride.per_dim();
        self
    }

    /// Zeros added on either side.
    pub fn padding(mut self, padding: impl PerDim<D>) -> Self {
        self.options.padding = padding.per_dim();
        self
    }

    /// Steps between neighbouring weights.
    pub fn dilation(mut self, dilation: impl PerDim<D>) -> Self {
        self.options.dilation = dilation.per_dim();
        self
    }

    /// Splits the channels into groups that do not see each other. New initial values are drawn, as
    /// each output has fewer inputs.
    ///
    /// # Errors
    /// [`Error::Value`] when the groups do not divide the channels.
    pub fn groups(mut self, groups: usize) -> Result<Self> {
        let out = self.weight.shape()[0];
        let inputs = self.weight.shape()[1] * self.options.groups;
        if groups == 0 || !inputs.is_multiple_of(groups) || !out.is_multiple_of(groups) {
            let message = format!("{groups} groups do not divide {inputs} input and {out} output channels");
            return Err(Error::Value { what: Self::NAME, message });
        }
        let kernel = &self.weight.shape()[2..];
        let (weight, bias) = init::default_parameters(&[&[out, inputs / groups], kernel].concat())?;
        (self.weight, self.bias) = (weight, self.bias.map(|_| bias));
        self.options.groups = groups;
        Ok(self)
    }

    /// Without a bias when `false`.
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = self.bias.filter(|_| bias);
        self
    }
}

macro_rules! layer {
    ($D:literal, $conv:ident, $conv_then:ident) => {
        impl Conv<$D> {
            /// The convolution, and what follows it, in one go.
            pub fn forward_then(&self, x: &Tensor, then: Then) -> Result<Tensor> {
                x.$conv_then(&self.weight, self.bias.as_ref(), self.options, then)
            }
        }

        impl Module for Conv<$D> {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                x.$conv(&self.weight, self.bias.as_ref(), self.options)
            }

            fn forward_joined(&self, x: &Tensor, then: Then) -> Option<Result<Tensor>> {
                Some(self.forward_then(x, then))
            }

            fn tensors(&self) -> Vec<(&'static str, Slot<'_>)> {
                slots_of([("weight", Some(&self.weight)), ("bias", self.bias.as_ref())]).collect()
            }
        }
    };
}
layer!(2, conv2d, conv2d_then);
layer!(3, conv3d, conv3d_then);
