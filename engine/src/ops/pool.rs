//! Max- and average-pooling; the formulas stand in `kernels/src/ops/pool/mod.rs`.

use std::sync::Arc;

use voxgrad_kernels::ops::pool::{self, Pool, Window};

use crate::error::shape_error;
use crate::{PerDim, Result, Shape, Tensor};

/// Window, stride, padding and dilation per dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions<const N: usize> {
    /// Window.
    pub kernel_size: [usize; N],
    /// Steps between neighbouring windows.
    pub stride: [usize; N],
    /// Margin on either side, at most half the window.
    pub padding: [usize; N],
    /// Steps between neighbouring elements of a window (max-pooling only).
    pub dilation: [usize; N],
    /// Whether the margin counts in an average.
    pub count_include_pad: bool,
}

impl<const N: usize> PoolOptions<N> {
    /// Windows side by side: the stride is the window, no padding.
    pub fn new(kernel_size: impl PerDim<N>) -> Self {
        let kernel_size = kernel_size.per_dim();
        PoolOptions {
            kernel_size,
            stride: kernel_size,
            padding: [0; N],
            dilation: [1; N],
            count_include_pad: true,
        }
    }
}

impl Tensor {
    /// The maximum of every window of height and width: `[N, C, H, W]` or `[C, H, W]` in, windows side by
    /// side. The gradient goes to the first maximum.
    ///
    /// # Errors
    /// When the window doesn't fit the tensor.
    pub fn max_pool2d(&self, kernel_size: impl PerDim<2>) -> Result<Tensor> {
        self.max_pool2d_with(PoolOptions::new(kernel_size))
    }

    /// [`Tensor::max_pool2d`] with stride, padding (of minus infinity) and dilation.
    pub fn max_pool2d_with(&self, options: PoolOptions<2>) -> Result<Tensor> {
        self.max_pool("max_pool2d", options)
    }

    /// The maximum of every window of depth, height and width: `[N, C, D, H, W]` or `[C, D, H, W]` in.
    pub fn max_pool3d(&self, kernel_size: impl PerDim<3>) -> Result<Tensor> {
        self.max_pool3d_with(PoolOptions::new(kernel_size))
    }

    /// [`Tensor::max_pool3d`] with stride, padding (of minus infinity) and dilation.
    pub fn max_pool3d_with(&self, options: PoolOptions<3>) -> Result<Tensor> {
        self.max_pool("max_pool3d", options)
    }

    /// The average of every window of height and width: `[N, C, H, W]` or `[C, H, W]` in.
    pub fn avg_pool2d(&self, kernel_size: impl PerDim<2>) -> Result<Tensor> {
        self.avg_pool2d_with(PoolOptions::new(kernel_size))
    }

    /// [`Tensor::avg_pool2d`] with stride and padding (of zeros).
    pub fn avg_pool2d_with(&self, options: PoolOptions<2>) -> Result<Tensor> {
        self.avg_pool("avg_pool2d", options)
    }

    /// The average of every window of depth, height and width: `[N, C, D, H, W]` or `[C, D, H, W]` in.
    pub fn avg_pool3d(&self, kernel_size: impl PerDim<3>) -> Result<Tensor> {
        self.avg_pool3d_with(PoolOptions::new(kernel_size))
    }

    /// [`Tensor::avg_pool3d`] with stride and padding (of zeros).
    pub fn avg_pool3d_with(&self, options: PoolOptions<3>) -> Result<Tensor> {
        self.avg_pool("avg_pool3d", options)
    }

    /// The maximum over all spatial dimensions: `[N, C, ...]` becomes `[N, C, 1, ...]`.
    pub fn global_max_pool(&self) -> Result<Tensor> {
        let (p, shape) = self.everything("global_max_pool")?;
        self.max_pool_op("global_max_pool", p, shape)
    }

    /// The average over all spatial dimensions: `[N, C, ...]` becomes `[N, C, 1, ...]`.
    pub fn global_avg_pool(&self) -> Result<Tensor> {
        let (p, shape) = self.everything("global_avg_pool")?;
        self.avg_pool_op("global_avg_pool", p, shape)
    }

    fn max_pool<const N: usize>(&self, op: &'static str, options: PoolOptions<N>) -> Result<Tensor> {
        let (p, shape) = self.shape().pooling(op, &options)?;
        self.max_pool_op(op, p, shape)
    }

    fn max_pool_op(&self, op: &'static str, p: Pool, shape: Shape) -> Result<Tensor> {
        let (y, argmax) = pool::max_forward(&p, &self.storage())?;
        Ok(Tensor::from_op(op, y, shape, &[self], move |dy, _| {
            Ok(vec![Some(pool::max_backward(&p, &argmax, dy)?.into())])
        }))
    }

    fn avg_pool<const N: usize>(&self, op: &'static str, options: PoolOptions<N>) -> Result<Tensor> {
        if options.dilation != [1; N] {
            return shape_error(op, format!("dilation {:?}: averages have none", options.dilation));
        }
        let (p, shape) = self.shape().pooling(op, &options)?;
        self.avg_pool_op(op, p, shape)
    }

    fn avg_pool_op(&self, op: &'static str, p: Pool, shape: Shape) -> Result<Tensor> {
        let y = pool::avg_forward(&p, &self.storage())?;
        Ok(Tensor::from_op(op, y, shape, &[self], move |dy, _| {
            Ok(vec![Some(Arc::new(pool::avg_backward(&p, dy)?))])
        }))
    }

    /// The pooling of each sample and channel to one number.
    fn everything(&self, op: &'static str) -> Result<(Pool, Shape)> {
        let shape = self.shape();
        if shape.len() < 3 || shape[2..].contains(&0) {
            return shape_error(op, format!("expected [N, C, ...] with something to pool, got {shape}"));
        }
        // For a whole plane its shape does not matter: any number of dimensions makes one row.
        let (outer, spatial) = shape.split_at(2);
        let kernel = [1, 1, spatial.iter().product()];
        let window =
            Window { kernel, stride: kernel, padding: [0; 3], dilation: [1; 3], count_include_pad: true };
        let p = Pool::new(op, outer.iter().product(), kernel, &window)?;
        Ok((p, [outer, &vec![1; spatial.len()]].concat().into()))
    }
}

impl Shape {
    /// The sizes for the kernel, and the shape of the result.
    pub(super) fn pooling<const N: usize>(
        &self,
        op: &'static str,
        options: &PoolOptions<N>,
    ) -> Result<(Pool, Shape)> {
        let shape = self;
        if shape.len() != N + 1 && shape.len() != N + 2 {
            let spatial = ["H, W", "D, H, W"][N - 2];
            return shape_error(op, format!("expected [N, C, {spatial}] or [C, {spatial}], got {shape}"));
        }
        let (outer, spatial) = shape.split_at(shape.len() - N);
        let window = Window {
            kernel: three(&options.kernel_size, 1),
            stride: three(&options.stride, 1),
            padding: three(&options.padding, 0),
            dilation: three(&options.dilation, 1),
            count_include_pad: options.count_include_pad,
        };
        let p = Pool::new(op, outer.iter().product(), three(spatial, 1), &window)?;
        Ok((p, [outer, &p.out_size()[3 - N..]].concat().into()))
    }
}

/// `sizes` with ones or zeros in front, for the dimensions that a pooling does not have.
fn three(sizes: &[usize], missing: usize) -> [usize; 3] {
    let mut all = [missing; 3];
    all[3 - sizes.len()..].copy_from_slice(sizes);
    all
}
