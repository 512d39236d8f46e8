//! A convolution with what follows it in most networks: a function of every element, and the maximum of
//! windows.
//!
//! ```text
//! z = f(conv(x, w) + bias)          y[o] = max over the window o of z, or y = z
//! ```
//! It is no op of its own: its gradient is those of its parts, and it gives what they give, bit for bit. On
//! the processor the tiled rungs finish a few maps while these are in the core's own cache, so `z` never
//! goes to memory where it is not wanted. A GPU runs the parts one after the other.

use super::cpu_tiled::{self, After, InPlace};
use super::{Conv, buffers, forward_rung};
use crate::device::log;
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::ops::elementwise::{self, Unary};
use crate::ops::pool::{self, Pool};
use crate::{Device, Result, Storage};

/// What follows a convolution.
#[derive(Debug, Clone, Copy, Default)]
pub struct Then {
    /// A function of every element and its parameters.
    pub function: Option<(Unary, [f64; 2])>,
    /// Max-pooling of the maps, without keeping where the maxima stand.
    pub max_pool: Option<Pool>,
}

/// `y` from `x: [N, C, ..]`, `w: [O, C / groups, ..]` and `bias: [O]`.
///
/// # Errors
/// As [`forward`](super::forward); a pooling of other maps than the convolution's.
pub fn forward_then(
    p: &Conv,
    x: &Storage,
    w: &Storage,
    bias: Option<&Storage>,
    then: &Then,
) -> Result<Storage> {
    forward_then_rung(usize::MAX, p, x, w, bias, then)
}

/// As [`forward_then`], with the rung of the convolution asked for.
pub fn forward_then_rung(
    rung: usize,
    p: &Conv,
    x: &Storage,
    w: &Storage,
    bias: Option<&Storage>,
    then: &Then,
) -> Result<Storage> {
    let maps = p.batch * p.out_channels;
    if let Some(pool) = then.max_pool
        && (pool.planes, [pool.in_d, pool.in_h, pool.in_w]) != (maps, p.output)
    {
        return shape_error("conv", format!("{pool:?} does not pool the {maps} maps of {:?}", p.output));
    }
    match (x.device(), rung.checked_sub(1)) {
        (Device::Cpu, Some(form)) => tiled(form, p, x, w, bias, then),
        _ => {
            let mut y = forward_rung(rung, p, x, w, bias)?;
            if let Some((function, params)) = then.function {
                y = elementwise::unary(function, params, &y)?;
            }
            match &then.max_pool {
                Some(pool) => Ok(pool::max_forward(pool, &y)?.0),
                None => Ok(y),
            }
        }
    }
}

fn tiled(
    form: usize,
    p: &Conv,
    x: &Storage,
    w: &Storage,
    bias: Option<&Storage>,
    then: &Then,
) -> Result<Storage> {
    p.check("conv", &buffers(p, x, w, bias))?;
    let len = then.max_pool.map_or(p.y_len(), |pool| pool.out_len());
    let mut y = Storage::empty(&Device::Cpu, x.dtype(), len)?;
    for_float!("conv", x.dtype(), T => {
        log::describe(&format_args!("{p:?}, then {then:?}"), p.flops());
        let function = then.function.map(|(f, params)| move |y: &mut [T]| elementwise::in_place(f, params, y));
        let function = function.as_ref().map(|function| function as InPlace<T>);
        let after = After { function, max_pool: then.max_pool.as_ref() };
        let bias = bias.map(|bias| bias.as_slice::<T>()).transpose()?;
        cpu_tiled::forward(form, p, x.as_slice()?, w.as_slice()?, bias, after, y.as_mut_slice()?)?;
    });
    Ok(y)
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;
    use crate::ops::pool::Window;

    /// Every rung gives the bits of the parts, with vectors of each kind, and with few samples.
    #[test]
    fn it_is_the_parts_one_after_the_other() {
        for (x, w, padding) in [
            ([3, 3, 1, 16, 32], [16, 3, 1, 3, 3], [0, 1, 1]),
            ([5, 4, 1, 9, 7], [9, 4, 1, 3, 3], [0, 0, 1]),
            ([1, 8, 6, 10, 8], [19, 8, 3, 3, 3], [1, 1, 1]),
            ([2, 2, 1, 6, 6], [2, 1, 1, 2, 2], [0, 0, 0]),
        ] {
            let groups = x[1] / w[1];
            let p = Conv::new::<3>("conv3d", &x, &w, [1; 3], padding, [1; 3], groups).unwrap();
            let (x, w) = (random(p.x_len(), 0), random(p.w_len(), 1));
            let bias = random(p.out_channels as usize, 3);
            let window = Window {
                kernel: [p.output[0].min(2) as usize, 2, 2],
                stride: [p.output[0].min(2) as usize, 2, 2],
                padding: [0; 3],
                dilation: [1; 3],
                count_include_pad: true,
            };
            let maps = (p.batch * p.out_channels) as usize;
            let pool = Pool::new("pool", maps, p.output.map(|size| size as usize), &window).unwrap();
            for rung in 0..super::super::RUNGS.len() {
                let sums = forward_rung(rung, &p, &x, &w, Some(&bias)).unwrap();
                for function in [None, Some((Unary::Tanh, [0.0; 2])), Some((Unary::LeakyRelu, [0.1, 0.0]))] {
                    let z = match function {
                        Some((f, params)) => elementwise::unary(f, params, &sums).unwrap(),
                        None => sums.copy().unwrap(),
                    };
                    for max_pool in [None, Some(pool)] {
                        let then = Then { function, max_pool };
                        let found = forward_then_rung(rung, &p, &x, &w, Some(&bias), &then).unwrap();
                        let wanted = match &max_pool {
                            Some(pool) => pool::max_forward(pool, &z).unwrap().0,
                            None => z.copy().unwrap(),
                        };
                        let bits = |y: Storage| y.to_vec::<f64>().unwrap().into_iter().map(f64::to_bits);
                        assert!(bits(found).eq(bits(wanted)), "rung {rung}, {then:?} of {p:?}");
                    }
                }
            }
            let other = Then { max_pool: Some(Pool { planes: 1, ..pool }), function: None };
            let refused = forward_then(&p, &x, &w, None, &other).unwrap_err().to_string();
            assert!(refused.contains("does not pool"), "{refused}");
        }
    }
}
