//! Matrix multiplication, one matrix or a batch of them.
//!
//! ```text
//! c[s, i, j] = sum_q a[s, i, q] * b[s, q, j] (+ bias[j])
//! ```
//! Either factor may be stored transposed, so the backward pass needs no transposed copies:
//! `da = dc b^T` and `db = a^T dc` are multiplications too. A linear layer is `x weight^T + bias`.

mod cpu;
pub(crate) mod dots;
pub(crate) mod pack;
pub(crate) mod tile;
mod vector;

use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Result, Storage};

/// The kernels on the CPU: the formula, then packed panels through a register tile, in the form that every
/// processor has and in two that are wider.
pub const RUNGS: &[&str] = &["plain", "tiled", "tiled, AVX2", "tiled, AVX-512"];
/// The kernels on a GPU: the formula, tiles in the memory of a workgroup, and, where the outputs are
/// few and their sums long, threads that share a sum.
pub const GPU_RUNGS: &[&str] = &["plain", "tiled", "shared sums"];

pub(crate) static SOURCE: Source = source!("matmul": "matmul");
static PLAIN: Kernel = Kernel::new(&SOURCE, "matmul");
pub(crate) static TILED_SOURCE: Source = source!("matmul_tiled": "matmul_tiled");
static TILED: Kernel = Kernel::new(&TILED_SOURCE, "matmul_tiled");
static SHARED: Kernel = Kernel::new(&TILED_SOURCE, "matmul_shared");

/// Rows and columns of a tile, and of one whose threads share sums, as in the kernels.
const TILE: usize = 64;
const SMALL_TILE: usize = 16;
/// Below so many tiles most of a GPU has nothing to do.
const FEW_TILES: usize = 64;

/// The sizes of one batch of multiplications: `[m, k] x [k, n] -> [m, n]`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Matmul {
    /// Number of products.
    pub batch: u32,
    /// Rows of the result.
    pub m: u32,
    /// Columns of the result.
    pub n: u32,
    /// Terms of each sum.
    pub k: u32,
    /// 1 when `a` is stored as `[k, m]`.
    pub transpose_a: u32,
    /// 1 when `b` is stored as `[n, k]`.
    pub transpose_b: u32,
    /// 1 when there is a bias; [`forward`] sets it.
    pub has_bias: u32,
}

impl Matmul {
    /// `[m, k] x [k, n]`, both stored as they are written.
    pub fn new(batch: usize, m: usize, n: usize, k: usize) -> Matmul {
        let [batch, m, n, k] = [batch, m, n, k].map(|size| size as u32);
        Matmul { batch, m, n, k, transpose_a: 0, transpose_b: 0, has_bias: 0 }
    }

    /// With `a` stored as `[k, m]`.
    pub fn transpose_a(self) -> Matmul {
        Matmul { transpose_a: 1, ..self }
    }

    /// With `b` stored as `[n, k]`.
    pub fn transpose_b(self) -> Matmul {
        Matmul { transpose_b: 1, ..self }
    }

    fn sizes(&self) -> [usize; 4] {
        [self.batch, self.m, self.n, self.k].map(|size| size as usize)
    }
}

/// `c = a b (+ bias)` with the top rung; `a: [batch, m, k]`, `b: [batch, k, n]`, `bias: [n]`.
pub fn forward(p: &Matmul, a: &Storage, b: &Storage, bias: Option<&Storage>) -> Result<Storage> {
    forward_rung(usize::MAX, p, a, b, bias)
}

/// As [`forward`], with the rung asked for, or the device's top one if it has no such.
pub fn forward_rung(
    rung: usize,
    p: &Matmul,
    a: &Storage,
    b: &Storage,
    bias: Option<&Storage>,
) -> Result<Storage> {
    let [batch, m, n, k] = p.sizes();
    if a.len() != batch * m * k || b.len() != batch * k * n || bias.is_some_and(|bias| bias.len() != n) {
        let (a, b, bias) = (a.len(), b.len(), bias.map(Storage::len));
        return shape_error(
            "matmul",
            format!("{batch} x [{m}, {k}] x [{k}, {n}] does not fit {a} and {b} elements, bias {bias:?}"),
        );
    }
    same_device_and_dtype("matmul", &[&[a, b], bias.as_slice()].concat())?;
    let mut c = Storage::empty(&a.device(), a.dtype(), batch * m * n)?;
    match a.device() {
        Device::Cpu => for_float!("matmul", a.dtype(), T => {
            log::describe(p, 2 * (batch * m * n * k) as u64);
            let bias = bias.map(|bias| bias.as_slice::<T>()).transpose()?;
            let (a, b, c_) = (a.as_slice::<T>()?, b.as_slice()?, c.as_mut_slice()?);
            match rung.checked_sub(1) {
                None => cpu::plain(p, a, b, bias, c_),
                Some(form) => cpu::tiled(form, p, a, b, bias, c_)?,
            }
        }),
        gpu => {
            let p = Matmul { has_bias: bias.is_some().into(), ..*p };
            let tiles_of = |size| batch * m.div_ceil(size) * n.div_ceil(size);
            let tiles = tiles_of(TILE);
            // A narrow matrix would leave most of a large tile empty.
            let small = tiles < FEW_TILES || m.min(n) <= SMALL_TILE;
            let (kernel, grid) = match rung {
                0 => (&PLAIN, Grid::threads(c.len())),
                1 => (&TILED, Grid::groups(tiles)),
                _ if small => (&SHARED, Grid::groups(tiles_of(SMALL_TILE))),
                _ => (&TILED, Grid::groups(tiles)),
            };
            let grid = grid.flops(2 * (batch * m * n * k) as u64);
            gpu.launch(kernel, grid, &p, &[a, b, bias.unwrap_or(b)], &mut [&mut c])?
        }
    }
    Ok(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One running sum of so many equal numbers would be off by a ten-thousandth and more.
    #[test]
    fn long_sums_keep_their_digits_on_a_gpu() {
        for gpu in crate::device::gpus() {
            let k = 40_000;
            let a = Storage::from_slice(&gpu, &vec![0.7f32; k]).unwrap();
            let b = Storage::from_slice(&gpu, &vec![0.3f32; k]).unwrap();
            let expected = k as f64 * f64::from(0.7f32) * f64::from(0.3f32);
            for (rung, name) in GPU_RUNGS.iter().enumerate() {
                let c = forward_rung(rung, &Matmul::new(1, 1, 1, k), &a, &b, None).unwrap();
                let c = f64::from(c.to_vec::<f32>().unwrap()[0]);
                assert!((c / expected - 1.0).abs() < 1e-5, "{name}: {c} instead of {expected}");
            }
        }
    }
}
