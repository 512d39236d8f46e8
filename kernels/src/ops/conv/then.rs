//! A convolution with what follows it in most networks: a function of every element, and the maximum of
//! windows.
//!
//! ```text
//! z = f(conv(x, w) + bias)          y[o] = max over the window o of z, or y = z
//! ```
//! It is no op of its own: its gradient is those of its parts, and it gives what they give, bit for bit. On
//! the processor the tiled rungs finish a few maps while these are in the core's own cache, so `z` never
//! goes to memory where it is not wanted; nor does its gradient (`cpu_then.rs`). A GPU runs the parts one
//! after the other.

use std::sync::Arc;

use super::cpu_tiled::{self, After, InPlace};
use super::{Conv, backward_weight_rung, buffers, cpu_then, forward_rung, volume};
use crate::device::log;
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::ops::elementwise::{self, Unary};
use crate::ops::pool::{self, Pool};
use crate::ops::reduce;
use crate::{DType, Device, Result, Storage};

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

/// Gradients of a convolution and what follows it.
pub struct Gradients {
    /// `dw: [O, C / groups, ..]`, where it was wanted.
    pub weight: Option<Storage>,
    /// `db: [O]`, where it was wanted.
    pub bias: Option<Storage>,
    /// Of what the convolution gave, where it was wanted: from there
    /// [`backward_input`](super::backward_input) goes on.
    pub dz: Option<Storage>,
}

/// The gradients from `dy`, that of what [`forward_then`] gives, for a convolution whose maps `z`, after the
/// function, were pooled with [`max_forward`](pool::max_forward). They are those of the parts, bit for bit.
///
/// # Errors
/// [`Error::Shape`](crate::Error::Shape) for tensors of other sizes; what can go wrong on a GPU.
#[allow(clippy::too_many_arguments)]
pub fn backward_then(
    p: &Conv,
    x: &Storage,
    (function, params): (Unary, [f64; 2]),
    z: &Storage,
    pool: &Pool,
    argmax: &Storage,
    dy: &Storage,
    [weight, bias, dz]: [bool; 3],
) -> Result<Gradients> {
    backward_then_rung(usize::MAX, p, x, (function, params), z, pool, argmax, dy, [weight, bias, dz])
}

/// As [`backward_then`], with the rung of the convolution asked for.
#[allow(clippy::too_many_arguments)]
pub fn backward_then_rung(
    rung: usize,
    p: &Conv,
    x: &Storage,
    (function, params): (Unary, [f64; 2]),
    z: &Storage,
    pool: &Pool,
    argmax: &Storage,
    dy: &Storage,
    [weight, bias, dz]: [bool; 3],
) -> Result<Gradients> {
    p.check("conv", &[("input", x, p.x_len()), ("result", z, p.y_len()), ("gradient", dy, pool.out_len())])?;
    let maps = [p.batch, p.out_channels].map(|size| size as usize);
    if pool.in_len() != p.y_len() || argmax.len() != pool.out_len() {
        return shape_error("conv", format!("{pool:?} does not pool the maps of {p:?}"));
    }
    let over_samples = |sums: &Storage, size| {
        let [n, o] = maps;
        let sum = reduce::sum_dims(sums, &[n, o, size], &[true, false, true])?;
        sum.map_or_else(|| sums.copy(), Ok)
    };
    let form = rung.wrapping_sub(1);
    let pays = match x.dtype() {
        DType::F32 => cpu_then::pays::<f32>(form, p),
        _ => cpu_then::pays::<f64>(form, p),
    };
    if x.device() == Device::Cpu && rung > 0 && weight && pays {
        let new = |len| Storage::empty(&Device::Cpu, x.dtype(), len);
        let (mut weight, mut sums) = (new(p.w_len())?, new(maps[0] * maps[1])?);
        let mut dz = dz.then(|| new(p.y_len())).transpose()?;
        for_float!("conv_backward", x.dtype(), T => {
            log::describe(p, p.flops());
            let derivative = |z: &[T], dy: &mut [T]| elementwise::backward_in_place(function, params, z, dy);
            let (z, argmax) = (z.as_slice()?, argmax.as_slice()?);
            let after = cpu_then::After { derivative: &derivative, z, pool, argmax };
            let (weight, maps) = (weight.as_mut_slice()?, sums.as_mut_slice()?);
            let dz = dz.as_mut().map(|dz| dz.as_mut_slice()).transpose()?;
            let to = cpu_then::Gradients { weight, maps, dz };
            cpu_then::backward(form, p, x.as_slice()?, after, dy.as_slice()?, to)?;
        });
        let bias = bias.then(|| over_samples(&sums, 1)).transpose()?;
        return Ok(Gradients { weight: Some(weight), bias, dz });
    }
    let mut all = Arc::new(pool::max_backward(pool, argmax, dy)?);
    all = elementwise::unary_backward_in_place(function, params, Some(z), &mut all)?;
    let weight = weight.then(|| backward_weight_rung(rung, p, &all, x)).transpose()?;
    let bias = bias.then(|| over_samples(&all, volume(p.output))).transpose()?;
    Ok(Gradients { weight, bias, dz: Arc::into_inner(all).filter(|_| dz) })
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

    /// The gradients are those of the parts to the bit, whether the sizes are such that they are computed in one
    /// go or not.
    #[test]
    fn its_gradients_are_those_of_the_parts() {
        for (x, w, size) in [
            ([9, 3, 1, 16, 32], [16, 3, 1, 3, 3], [1, 2, 2]),
            ([20, 2, 1, 19, 23], [5, 2, 1, 3, 3], [1, 3, 2]),
            ([2, 8, 6, 10, 24], [10, 8, 3, 3, 3], [2, 2, 2]),
            ([3, 20, 1, 6, 6], [40, 20, 1, 3, 3], [1, 2, 2]),
        ] {
            let padding = [w[2] / 2, 1, 1];
            let p = Conv::new::<3>("conv3d", &x, &w, [1; 3], padding, [1; 3], 1).unwrap();
            let window = Window {
                kernel: size,
                stride: size,
                padding: [0; 3],
                dilation: [1; 3],
                count_include_pad: true,
            };
            let maps = (p.batch * p.out_channels) as usize;
            let pool = Pool::new("pool", maps, p.output.map(|size| size as usize), &window).unwrap();
            let (x, z, dy) = (random(p.x_len(), 0), random(p.y_len(), 1), random(pool.out_len(), 2));
            let (_, argmax) = pool::max_forward(&pool, &z).unwrap();
            for rung in 0..super::super::RUNGS.len() {
                for function in [(Unary::Tanh, [0.0; 2]), (Unary::Relu, [0.0; 2])] {
                    let mut dz = Arc::new(pool::max_backward(&pool, &argmax, &dy).unwrap());
                    dz = elementwise::unary_backward_in_place(function.0, function.1, Some(&z), &mut dz)
                        .unwrap();
                    let dw = backward_weight_rung(rung, &p, &dz, &x).unwrap();
                    let shape = [p.batch, p.out_channels, volume(p.output) as u32].map(|size| size as usize);
                    let db = reduce::sum_dims(&dz, &shape, &[true, false, true]).unwrap().unwrap();
                    let all = |wanted| {
                        backward_then_rung(rung, &p, &x, function, &z, &pool, &argmax, &dy, wanted).unwrap()
                    };
                    let bits = |y: &Storage| y.to_vec::<f64>().unwrap().into_iter().map(f64::to_bits);
                    let found = all([true, true, true]);
                    assert!(bits(&found.weight.unwrap()).eq(bits(&dw)), "rung {rung}, weight of {p:?}");
                    assert!(bits(&found.bias.unwrap()).eq(bits(&db)), "rung {rung}, bias of {p:?}");
                    assert!(bits(&found.dz.unwrap()).eq(bits(&dz)), "rung {rung}, dz of {p:?}");
                    let found = all([true, false, false]);
                    assert!(bits(&found.weight.unwrap()).eq(bits(&dw)));
                    assert!(found.bias.is_none() && found.dz.is_none());
                    let found = all([false, true, true]);
                    assert!(found.weight.is_none() && bits(&found.bias.unwrap()).eq(bits(&db)));
                    assert!(bits(&found.dz.unwrap()).eq(bits(&dz)), "rung {rung}, dz alone of {p:?}");
                }
            }
            let short = Storage::zeros(&Device::Cpu, DType::F64, 1).unwrap();
            let wrong = backward_then(&p, &x, (Unary::Tanh, [0.0; 2]), &z, &pool, &argmax, &short, [true; 3]);
            assert!(wrong.err().unwrap().to_string().contains("gradient has 1 elements"));
        }
    }
}
