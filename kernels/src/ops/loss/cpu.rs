//! Losses on the processor; threads share the elements.

use super::{Inputs, Kind, Reduction, Side};
use crate::{Error, Float, Result, split};

/// All of `[len]`.
pub struct Slices<'a, T> {
    x: &'a [T],
    t: &'a [T],
    weight: Option<&'a [T]>,
    pos_weight: Option<&'a [T]>,
}

/// One element of each.
#[derive(Clone, Copy)]
struct Element<T> {
    x: T,
    t: T,
    pos: T,
}

impl<'a, T: Float> Slices<'a, T> {
    pub fn new(inputs: &Inputs<'a>) -> Result<Slices<'a, T>> {
        Ok(Slices {
            x: inputs.x.as_slice()?,
            t: inputs.t.as_slice()?,
            weight: inputs.weight.map(|weight| weight.as_slice()).transpose()?,
            pos_weight: inputs.pos_weight.map(|weight| weight.as_slice()).transpose()?,
        })
    }

    /// Whether all inputs lie in 0..=1; a NaN does not.
    pub fn check_probabilities(&self, op: &'static str) -> Result<()> {
        match self.x.iter().position(|x| !(T::zero()..=T::one()).contains(x)) {
            Some(i) => {
                let message = format!("element {i} of the input is {}, must be in 0..=1", self.x[i].f64());
                Err(Error::Value { op, message })
            }
            None => Ok(()),
        }
    }

    /// `y_i = weight_i * g_i * f(element i)`, where `g` holds a factor for each, or for all.
    fn each(&self, g: &[T], y: &mut [T], f: impl Fn(Element<T>) -> T + Send + Sync) {
        const PIECE: usize = 1024;
        const COST: usize = 10;
        let or_one = |factors: Option<&[T]>, i: usize| factors.map_or(T::one(), |factors| factors[i]);
        split::pieces(y, PIECE, PIECE * COST, |piece, y| {
            for (i, y) in (piece * PIECE..).zip(y) {
                let element = Element { x: self.x[i], t: self.t[i], pos: or_one(self.pos_weight, i) };
                let g = if g.len() == 1 { g[0] } else { g[i] };
                *y = or_one(self.weight, i) * g * f(element);
            }
        });
    }
}

// losses: [len]
pub fn forward<T: Float>(kind: Kind, slices: &Slices<T>, losses: &mut [T]) {
    let (one, half) = (T::one(), T::of(0.5));
    let plain = &[one];
    match kind {
        Kind::Mse => slices.each(plain, losses, |e| (e.x - e.t) * (e.x - e.t)),
        Kind::L1 => slices.each(plain, losses, |e| (e.x - e.t).abs()),
        Kind::Huber { delta } => {
            let delta = T::of(delta);
            slices.each(plain, losses, |e| {
                let d = (e.x - e.t).abs();
                if d <= delta { half * d * d } else { delta * (d - half * delta) }
            })
        }
        Kind::Bce => slices.each(plain, losses, |e| (e.t - one) * log_of_rest(e.x) - e.t * log(e.x)),
        Kind::BceWithLogits => slices.each(plain, losses, |e| {
            (one - e.t) * e.x + (one + (e.pos - one) * e.t) * softplus(-e.x) //
        }),
    }
}

// dloss: [len], or [1]   dx: [len]
pub fn backward<T: Float>(
    kind: Kind,
    reduction: Reduction,
    side: Side,
    slices: &Slices<T>,
    dloss: &[T],
    dx: &mut [T],
) {
    let one = T::one();
    let mean;
    let g = match reduction {
        Reduction::None | Reduction::Sum => dloss,
        Reduction::Mean => {
            mean = [dloss[0] / T::of(dx.len() as f64)];
            &mean
        }
    };
    // The first three depend on x - t: what the input gains the target loses.
    let side_sign = if side == Side::Input { one } else { -one };
    match kind {
        Kind::Mse => slices.each(g, dx, |e| side_sign * T::of(2.0) * (e.x - e.t)),
        Kind::L1 => slices.each(g, dx, |e| side_sign * sign(e.x - e.t)),
        Kind::Huber { delta } => {
            let delta = T::of(delta);
            slices.each(g, dx, |e| {
                let d = e.x - e.t;
                side_sign * if d.abs() <= delta { d } else { delta * sign(d) }
            })
        }
        Kind::Bce if side == Side::Input => {
            let least = T::of(1e-12);
            slices.each(g, dx, |e| (e.x - e.t) / (e.x * (one - e.x)).max(least))
        }
        Kind::Bce => slices.each(g, dx, |e| log_of_rest(e.x) - log(e.x)),
        Kind::BceWithLogits if side == Side::Input => {
            slices.each(g, dx, |e| (one - e.t) * logistic(e.x) - e.pos * e.t * logistic(-e.x))
        }
        Kind::BceWithLogits => slices.each(g, dx, |e| (e.pos - one) * softplus(-e.x) - e.x),
    }
}

/// 1, -1, or `x` itself where it is 0 or NaN.
fn sign<T: Float>(x: T) -> T {
    if x > T::zero() {
        T::one()
    } else if x < T::zero() {
        -T::one()
    } else {
        x
    }
}

/// log x, at least -100.
fn log<T: Float>(x: T) -> T {
    x.ln().max(T::of(-100.0))
}

/// log(1 - x), at least -100.
fn log_of_rest<T: Float>(x: T) -> T {
    (-x).ln_1p().max(T::of(-100.0))
}

/// log(1 + exp(x)), without overflow.
fn softplus<T: Float>(x: T) -> T {
    (-x.abs()).exp().ln_1p() + x.max(T::zero())
}

/// 1 / (1 + exp(-x)).
fn logistic<T: Float>(x: T) -> T {
    T::one() / (T::one() + (-x).exp())
}
