//! Resampling of volumes; the formulas stand in `kernels/src/ops/grid_sample/mod.rs`.

use voxgrad_kernels::ops::grid_sample::{self, AffineGrid, GridSample};

use crate::error::shape_error;
use crate::{Result, Shape, Tensor};

/// What a sample outside the volume sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The nearest voxel of the border.
    Border,
}

impl Tensor {
    /// The grid of points that the affine maps `theta`, `[N, 3, 4]`, assign to the voxels of a tensor of
    /// shape `size`, `[N, C, D, H, W]`: `[N, D, H, W, 3]`, each point (x, y, z) in normalised
    /// coordinates, x along W. With `align_corners`, -1 and 1 are the centres of the outer voxels,
    /// otherwise their outer faces.
    ///
    /// # Errors
    /// When `theta` has another shape.
    pub fn affine_grid3d(theta: &Tensor, size: [usize; 5], align_corners: bool) -> Result<Tensor> {
        let [n, _, d, h, w] = size;
        if theta.shape()[..] != [n, 3, 4] {
            return shape_error(
                "affine_grid3d",
                format!("theta is {}, expected [{n}, 3, 4] for the output {size:?}", theta.shape()),
            );
        }
        let shape = Shape::from([n, d, h, w, 3]);
        shape.numel()?; // all sizes fit 32 bits
        let [samples, d, h, w] = [n, d, h, w].map(|size| size as u32);
        let p = AffineGrid { samples, d, h, w, align_corners: align_corners as u32 };
        let grid = grid_sample::affine_forward(&p, &theta.storage())?;
        Ok(Tensor::from_op("affine_grid3d", grid, shape, &[theta], move |dgrid, _| {
            Ok(vec![Some(grid_sample::affine_backward(&p, dgrid)?.into())])
        }))
    }

    /// The values of this tensor, `[N, C, D, H, W]`, at the points of `grid`, `[N, d, h, w, 3]` (see
    /// [`Tensor::affine_grid3d`]), interpolated trilinearly: `[N, C, d, h, w]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn grid_sample3d(&self, grid: &Tensor, padding: PaddingMode, align_corners: bool) -> Result<Tensor> {
        const OP: &str = "grid_sample3d";
        let (&[n, c, in_d, in_h, in_w], &[grid_n, d, h, w, 3]) = (&self.shape()[..], &grid.shape()[..])
        else {
            let (x, grid) = (self.shape(), grid.shape());
            return shape_error(
                OP,
                format!("expected input [N, C, D, H, W] and grid [N, D, H, W, 3], got {x} and {grid}"),
            );
        };
        if n != grid_n {
            let (x, grid) = (self.shape(), grid.shape());
            return shape_error(OP, format!("input and grid have different batches: {x} and {grid}"));
        }
        let p = GridSample {
            samples: n as u32,
            channels: c as u32,
            in_d: in_d as u32,
            in_h: in_h as u32,
            in_w: in_w as u32,
            out_d: d as u32,
            out_h: h as u32,
            out_w: w as u32,
            border: (padding == PaddingMode::Border) as u32,
            align_corners: align_corners as u32,
        };
        let (x, points) = (self.storage(), grid.storage());
        let y = grid_sample::forward(&p, &x, &points)?;
        Ok(Tensor::from_op(OP, y, [n, c, d, h, w], &[self, grid], move |dy, wanted| {
            let dx = wanted[0].then(|| grid_sample::backward_input(&p, &x, &points, dy));
            let dgrid = wanted[1].then(|| grid_sample::backward_grid(&p, &x, &points, dy));
            Ok(vec![dx.transpose()?.map(Into::into), dgrid.transpose()?.map(Into::into)])
        }))
    }
}
