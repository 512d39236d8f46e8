//! Convolution in two and three dimensions (a 2d convolution is a 3d one of depth 1).
//!
//! ```text
//! y[n, o, p]  = bias[o] + sum_{c, k} w[o, c, k] * x[n, c, p * stride - padding + k * dilation]
//! dx[n, c, i] = sum_{o, k} w[o, c, k] * dy[n, o, (i + padding - k * dilation) / stride]
//! dw[o, c, k] = sum_{n, p} dy[n, o, p] * x[n, c, p * stride - padding + k * dilation]
//! ```
//! `p`, `i` and `k` stand for a place of the output, the input and the kernel, one number per
//! dimension (depth, height, width). Outside the input `x` is 0; in `dx` only the places count
//! where the division leaves no remainder. With groups, output channel `o` sees only the input
//! channels of its own group, and `c` counts inside the group. The gradient of the bias is the sum
//! of `dy` over `n` and `p`.

mod cpu;
mod cpu_places;
mod cpu_then;
mod cpu_tiled;
mod cpu_weight;
pub(crate) mod gpu;
mod grid;
mod then;

use cpu_tiled::After;
pub use then::{Gradients, Then, backward_then, backward_then_rung, forward_then, forward_then_rung};

use crate::device::log;
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Error, Result, Storage};

/// The kernels on the CPU: the formula, then shifted volumes through matmul's register tile, in the form
/// that every processor has and in two that are wider.
pub const RUNGS: &[&str] = &["plain", "tiled", "tiled, AVX2", "tiled, AVX-512"];
/// The kernels on a GPU: the formula, then tiles in the memory of a workgroup.
pub const GPU_RUNGS: &[&str] = &["plain", "tiled"];

/// Sizes and options of one convolution; the last three numbers of each array are depth, height,
/// width.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Conv {
    /// N, the number of samples.
    pub batch: u32,
    /// C, channels of the input.
    pub in_channels: u32,
    /// O, channels of the output.
    pub out_channels: u32,
    /// Independent slices of the channels.
    pub groups: u32,
    /// Size of the input.
    pub input: [u32; 3],
    /// Size of the kernel.
    pub kernel: [u32; 3],
    /// Size of the output.
    pub output: [u32; 3],
    /// Steps between neighbouring outputs.
    pub stride: [u32; 3],
    /// Zeros on either side of the input.
    pub padding: [u32; 3],
    /// Steps between neighbouring elements of the kernel.
    pub dilation: [u32; 3],
}

impl Conv {
    /// The convolution of `x: [N, C, (D,) H, W]` with `w: [O, C / groups, (KD,) KH, KW]`.
    ///
    /// # Errors
    /// [`Error::Shape`] names `op` (conv2d, conv3d), both shapes and what does not fit.
    pub fn new<const D: usize>(
        op: &'static str,
        x: &[usize],
        w: &[usize],
        stride: [usize; D],
        padding: [usize; D],
        dilation: [usize; D],
        groups: usize,
    ) -> Result<Conv> {
        let fail = |what: String| shape_error(op, format!("{what} (input {x:?}, weight {w:?})"));
        if x.len() != D + 2 || w.len() != D + 2 {
            return fail(format!("input and weight need {} dimensions", D + 2));
        }
        if groups == 0 || !x[1].is_multiple_of(groups) || !w[0].is_multiple_of(groups) {
            return fail(format!(
                "{groups} groups do not divide {} input and {} output channels",
                x[1], w[0]
            ));
        }
        if x[1] / groups != w[1] {
            let each = if groups == 1 { String::new() } else { format!(" in each of {groups} groups") };
            return fail(format!("input has {} channels{each}, weight expects {}", x[1] / groups, w[1]));
        }
        if w[0] == 0 || w[1] == 0 {
            return fail("a convolution needs at least one input and one output channel".into());
        }
        let mut conv = Conv {
            batch: x[0] as u32,
            in_channels: x[1] as u32,
            out_channels: w[0] as u32,
            groups: groups as u32,
            input: [1; 3],
            kernel: [1; 3],
            output: [1; 3],
            stride: [1; 3],
            padding: [0; 3],
            dilation: [1; 3],
        };
        for d in 0..D {
            let (input, kernel) = (x[d + 2], w[d + 2]);
            let [stride, padding, dilation] = [stride[d], padding[d], dilation[d]];
            if kernel == 0 || stride == 0 || dilation == 0 {
                return fail(format!("kernel {kernel}, stride {stride}, dilation {dilation}: none may be 0"));
            }
            // All of it must fit 32 bits, which is what the kernels count with.
            let room = padding.checked_mul(2).and_then(|p| p.checked_add(input));
            let span = dilation.checked_mul(kernel - 1).and_then(|s| s.checked_add(1));
            let (Some(room), Some(span)) = (room, span) else {
                return fail(format!("padding {padding} or dilation {dilation} is too large"));
            };
            if room < span {
                return fail(format!(
                    "the padded input ({room}) is smaller than the kernel's reach ({span})"
                ));
            }
            if room.max(stride) > i32::MAX as usize {
                return fail(format!("padding {padding} or stride {stride} is too large"));
            }
            let at = d + 3 - D;
            conv.input[at] = input as u32;
            conv.kernel[at] = kernel as u32;
            conv.output[at] = ((room - span) / stride + 1) as u32;
            conv.stride[at] = stride as u32;
            conv.padding[at] = padding as u32;
            conv.dilation[at] = dilation as u32;
        }
        // The widest a fast kernel may lay the data out: with its border, or dy spread by the stride.
        let wide = |d: usize| {
            let (input, reach) = (u128::from(conv.input[d]), (conv.kernel[d] - 1) * conv.dilation[d]);
            (input + 2 * u128::from(conv.padding[d])).max(input + u128::from(reach))
        };
        let channels = (x[1] / groups).max(w[0] / groups) as u128;
        if wide(0).saturating_mul(wide(1) * wide(2)).saturating_mul(channels) > u128::from(u32::MAX) {
            return fail(format!("the input with padding {padding:?} is larger than a buffer may be"));
        }
        let places = conv.output.iter().try_fold(1u32, |all, &size| all.checked_mul(size));
        if places.is_none() {
            return fail(format!("an output of {:?} is larger than a buffer may be", conv.output));
        }
        Ok(conv)
    }

    /// The shape of `y` for an input of `D` spatial dimensions.
    pub fn output_shape<const D: usize>(&self) -> Vec<usize> {
        let sizes = [self.batch, self.out_channels].into_iter().chain(self.output[3 - D..].iter().copied());
        sizes.map(|size| size as usize).collect()
    }

    /// Floating-point operations of one pass: a multiplication and an addition per term.
    pub fn flops(&self) -> u64 {
        2 * self.y_len() as u64 * self.terms() as u64
    }

    fn terms(&self) -> usize {
        (self.in_channels / self.groups) as usize * volume(self.kernel)
    }

    fn x_len(&self) -> usize {
        self.batch as usize * self.in_channels as usize * volume(self.input)
    }

    fn y_len(&self) -> usize {
        self.batch as usize * self.out_channels as usize * volume(self.output)
    }

    fn w_len(&self) -> usize {
        self.out_channels as usize * self.terms()
    }

    fn check(&self, op: &'static str, buffers: &[(&str, &Storage, usize)]) -> Result<()> {
        for (name, buffer, wanted) in buffers {
            if buffer.len() != *wanted {
                let message = format!("{name} has {} elements, {wanted} expected for {self:?}", buffer.len());
                return Err(Error::Shape { op, message });
            }
        }
        same_device_and_dtype(op, &buffers.iter().map(|(_, buffer, _)| *buffer).collect::<Vec<_>>())
    }
}

/// Places in a block of these sizes.
fn volume(sizes: [u32; 3]) -> usize {
    sizes.iter().map(|&size| size as usize).product()
}

/// What goes into a convolution: names and lengths.
fn buffers<'a>(
    p: &Conv,
    x: &'a Storage,
    w: &'a Storage,
    bias: Option<&'a Storage>,
) -> Vec<(&'static str, &'a Storage, usize)> {
    let mut buffers = vec![("input", x, p.x_len()), ("weight", w, p.w_len())];
    buffers.extend(bias.map(|bias| ("bias", bias, p.out_channels as usize)));
    buffers
}

/// `y: [N, O, ..]` from `x: [N, C, ..]`, `w: [O, C / groups, ..]` and `bias: [O]`.
pub fn forward(p: &Conv, x: &Storage, w: &Storage, bias: Option<&Storage>) -> Result<Storage> {
    forward_rung(usize::MAX, p, x, w, bias)
}

/// As [`forward`], with the rung asked for.
pub fn forward_rung(
    rung: usize,
    p: &Conv,
    x: &Storage,
    w: &Storage,
    bias: Option<&Storage>,
) -> Result<Storage> {
    p.check("conv", &buffers(p, x, w, bias))?;
    let mut y = Storage::empty(&x.device(), x.dtype(), p.y_len())?;
    match x.device() {
        Device::Cpu => for_float!("conv", x.dtype(), T => {
            log::describe(p, p.flops());
            let bias = bias.map(|bias| bias.as_slice::<T>()).transpose()?;
            let (x, w, y) = (x.as_slice::<T>()?, w.as_slice()?, y.as_mut_slice()?);
            match rung.checked_sub(1) {
                None => cpu::forward(p, x, w, bias, y),
                Some(form) => cpu_tiled::forward(form, p, x, w, bias, After::NOTHING, y)?,
            }
        }),
        gpu => gpu::forward(&gpu, rung, p, x, w, bias, &mut y)?,
    }
    Ok(y)
}

/// The gradient of the input: `dx: [N, C, ..]` from `dy: [N, O, ..]` and the weight.
pub fn backward_input(p: &Conv, dy: &Storage, w: &Storage) -> Result<Storage> {
    backward_input_rung(usize::MAX, p, dy, w)
}

/// As [`backward_input`], with the rung asked for.
pub fn backward_input_rung(rung: usize, p: &Conv, dy: &Storage, w: &Storage) -> Result<Storage> {
    p.check("conv_backward_input", &[("gradient", dy, p.y_len()), ("weight", w, p.w_len())])?;
    let mut dx = Storage::empty(&dy.device(), dy.dtype(), p.x_len())?;
    match dy.device() {
        Device::Cpu => for_float!("conv_backward_input", dy.dtype(), T => {
            log::describe(p, p.flops());
            let (dy, w, dx) = (dy.as_slice::<T>()?, w.as_slice()?, dx.as_mut_slice()?);
            match rung.checked_sub(1) {
                None => cpu::backward_input(p, dy, w, dx),
                Some(form) => cpu_tiled::backward_input(form, p, dy, w, dx)?,
            }
        }),
        gpu => gpu::backward_input(&gpu, rung, p, dy, w, &mut dx)?,
    }
    Ok(dx)
}

/// The gradient of the weight: `dw: [O, C / groups, ..]` from `dy: [N, O, ..]` and the input.
pub fn backward_weight(p: &Conv, dy: &Storage, x: &Storage) -> Result<Storage> {
    backward_weight_rung(usize::MAX, p, dy, x)
}

/// As [`backward_weight`], with the rung asked for.
pub fn backward_weight_rung(rung: usize, p: &Conv, dy: &Storage, x: &Storage) -> Result<Storage> {
    p.check("conv_backward_weight", &[("gradient", dy, p.y_len()), ("input", x, p.x_len())])?;
    let mut dw = Storage::empty(&dy.device(), dy.dtype(), p.w_len())?;
    match dy.device() {
        Device::Cpu => for_float!("conv_backward_weight", dy.dtype(), T => {
            log::describe(p, p.flops());
            let (dy, x, dw) = (dy.as_slice::<T>()?, x.as_slice()?, dw.as_mut_slice()?);
            match rung.checked_sub(1) {
                None => cpu::backward_weight(p, dy, x, dw),
                Some(form) => cpu_weight::backward_weight(form, p, dy, x, dw)?,
            }
        }),
        gpu => gpu::backward_weight(&gpu, rung, p, dy, x, &mut dw)?,
    }
    Ok(dw)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn random(len: usize, stream: u64) -> Storage {
        let word = |i| crate::philox::random_u32(7, stream, i as u64);
        let data: Vec<f64> = (0..len).map(|i| f64::from(crate::philox::uniform(word(i))) - 0.5).collect();
        Storage::from_slice(&Device::Cpu, &data).unwrap()
    }

    fn close(what: &str, p: &Conv, a: &Storage, b: Storage) {
        let (a, b) = (a.to_vec::<f64>().unwrap(), b.to_vec::<f64>().unwrap());
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!((a - b).abs() < 1e-11, "{what} {p:?} element {i}: {a} {b}");
        }
    }

    /// The tiled rungs give what the formula gives, for sizes that divide no tile.
    #[test]
    fn tiled_is_plain() {
        for (x, w, stride, padding, dilation, groups) in [
            ([2, 3, 1, 9, 11], [5, 3, 1, 3, 3], [1, 1, 1], [0, 1, 1], [1, 1, 1], 1),
            ([1, 1, 5, 6, 7], [1, 1, 3, 3, 3], [1, 1, 1], [1, 1, 1], [1, 1, 1], 1),
            ([3, 4, 4, 7, 9], [6, 2, 2, 3, 1], [2, 1, 3], [1, 2, 0], [1, 2, 1], 2),
            ([1, 2, 3, 3, 3], [9, 2, 1, 1, 1], [1, 1, 1], [0, 0, 0], [1, 1, 1], 1),
            ([1, 2, 1, 8, 8], [3, 2, 1, 2, 2], [1, 3, 3], [0, 3, 0], [1, 2, 3], 1),
            ([17, 1, 1, 40, 3], [2, 1, 1, 3, 3], [1, 1, 1], [0, 2, 2], [1, 1, 1], 1),
            // Many places for few channels; rows that fill whole vectors, and rows that do not.
            ([2, 3, 1, 18, 32], [5, 3, 1, 3, 3], [1, 1, 1], [0, 1, 1], [1, 1, 1], 1),
            ([35, 2, 1, 17, 19], [8, 2, 1, 3, 3], [1, 1, 1], [0, 1, 1], [1, 1, 1], 1),
            ([2, 4, 3, 12, 21], [6, 2, 2, 3, 3], [1, 1, 1], [1, 0, 2], [1, 2, 1], 2),
            // More channels than one slice has, and fewer in the last one; more terms than are added at once.
            ([1, 40, 1, 24, 24], [2, 40, 1, 3, 3], [1, 1, 1], [0, 1, 1], [1, 1, 1], 1),
            ([1, 40, 1, 6, 6], [11, 40, 1, 3, 3], [1, 1, 1], [0, 1, 1], [1, 1, 1], 1),
        ] {
            let p = Conv::new::<3>("conv3d", &x, &w, stride, padding, dilation, groups).unwrap();
            let (x, w) = (random(p.x_len(), 0), random(p.w_len(), 1));
            let (dy, bias) = (random(p.y_len(), 2), random(p.out_channels as usize, 3));
            let plain = [
                forward_rung(0, &p, &x, &w, Some(&bias)).unwrap(),
                backward_input_rung(0, &p, &dy, &w).unwrap(),
                backward_weight_rung(0, &p, &dy, &x).unwrap(),
            ];
            for rung in 1..RUNGS.len() {
                close("forward", &p, &plain[0], forward_rung(rung, &p, &x, &w, Some(&bias)).unwrap());
                close("backward_input", &p, &plain[1], backward_input_rung(rung, &p, &dy, &w).unwrap());
                close("backward_weight", &p, &plain[2], backward_weight_rung(rung, &p, &dy, &x).unwrap());
            }
        }
    }
}
