//! Pooling layers.

use super::Module;
use crate::ops::PoolOptions;
use crate::{PerDim, Result, Tensor};

/// The maximum of every window of `[N, C, H, W]`, `torch.nn.MaxPool2d`.
pub type MaxPool2d = MaxPool<2>;
/// The maximum of every window of `[N, C, D, H, W]`, `torch.nn.MaxPool3d`.
pub type MaxPool3d = MaxPool<3>;
/// The average of every window of `[N, C, H, W]`, `torch.nn.AvgPool2d`.
pub type AvgPool2d = AvgPool<2>;
/// The average of every window of `[N, C, D, H, W]`, `torch.nn.AvgPool3d`.
pub type AvgPool3d = AvgPool<3>;

/// Max-pooling over `D` dimensions: [`MaxPool2d`] or [`MaxPool3d`].
#[derive(Debug, Clone, Copy)]
pub struct MaxPool<const D: usize> {
    /// Window, stride, padding and dilation.
    pub options: PoolOptions<D>,
}

impl<const D: usize> MaxPool<D> {
    /// Windows of `kernel_size` side by side.
    pub fn new(kernel_size: impl PerDim<D>) -> Self {
        MaxPool { options: PoolOptions::new(kernel_size) }
    }

    /// Steps between neighbouring windows.
    pub fn stride(mut self, stride: impl PerDim<D>) -> Self {
        self.options.stride = stride.per_dim();
        self
    }

    /// Minus infinity added on either side.
    pub fn padding(mut self, padding: impl PerDim<D>) -> Self {
        self.options.padding = padding.per_dim();
        self
    }

    /// Steps between neighbouring elements of a window.
    pub fn dilation(mut self, dilation: impl PerDim<D>) -> Self {
        self.options.dilation = dilation.per_dim();
        self
    }
}

/// Average pooling over `D` dimensions: [`AvgPool2d`] or [`AvgPool3d`].
#[derive(Debug, Clone, Copy)]
pub struct AvgPool<const D: usize> {
    /// Window, stride, padding, and whether the padding counts.
    pub options: PoolOptions<D>,
}

impl<const D: usize> AvgPool<D> {
    /// Windows of `kernel_size` side by side.
    pub fn new(kernel_size: impl PerDim<D>) -> Self {
        AvgPool { options: PoolOptions::new(kernel_size) }
    }

    /// Steps between neighbouring windows.
    pub fn stride(mut self, stride: impl PerDim<D>) -> Self {
        self.options.stride = stride.per_dim();
        self
    }

    /// Zeros added on either side.
    pub fn padding(mut self, padding: impl PerDim<D>) -> Self {
        self.options.padding = padding.per_dim();
        self
    }

    /// Whether the added zeros count in an average. They do by default.
    pub fn count_include_pad(mut self, count: bool) -> Self {
        self.options.count_include_pad = count;
        self
    }
}

macro_rules! layer {
    ($Layer:ty, $pool:ident) => {
        impl Module for $Layer {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                x.$pool(self.options)
            }
        }
    };
}
layer!(MaxPool<2>, max_pool2d_with);
layer!(MaxPool<3>, max_pool3d_with);
layer!(AvgPool<2>, avg_pool2d_with);
layer!(AvgPool<3>, avg_pool3d_with);
