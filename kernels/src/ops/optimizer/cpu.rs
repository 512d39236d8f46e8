//! Optimizer steps on the processor. Each rule takes one element of the parameter, of the gradient
//! and of the state, and gives the new element and the new state.

use super::{Adagrad, Adam, RmsProp, Sgd};
use crate::Float;

pub fn sgd<T: Float>(p: &Sgd, w: &mut [T], g: &[T], state: Vec<&mut [T]>) {
    let (lr, momentum, mix) = (T::of(p.lr), T::of(p.momentum), T::of(p.mix));
    let decay = decay::<T>(p.weight_decay);
    if p.momentum == 0.0 {
        return each(w, g, sized(state), |w, g, []| (w - lr * decay(g, w), []));
    }
    each(w, g, sized(state), |w, g, [b]| {
        let g = decay(g, w);
        let b = if p.first == 1 { g } else { b * momentum + mix * g };
        let direction = if p.nesterov == 1 { g + momentum * b } else { b };
        (w - lr * direction, [b])
    });
}

pub fn adam<T: Float>(p: &Adam, w: &mut [T], g: &[T], state: Vec<&mut [T]>) {
    let (step_size, correction, eps) = (T::of(p.step_size), T::of(p.correction), T::of(p.eps));
    let (mix1, beta2, mix2) = (T::of(p.mix1), T::of(p.beta2), T::of(p.mix2));
    let shrink = T::of(p.shrink);
    let decay = decay::<T>(p.weight_decay);
    let averages = |w: T, g: T, m: T, v: T| {
        let g = decay(g, w);
        (lerp(m, g, mix1), v * beta2 + mix2 * g * g)
    };
    let stepped = |w: T, m: T, x: T| w * shrink - step_size * m / (x.sqrt() / correction + eps);
    if p.amsgrad == 0 {
        return each(w, g, sized(state), |w, g, [m, v]| {
            let (m, v) = averages(w, g, m, v);
            (stepped(w, m, v), [m, v])
        });
    }
    each(w, g, sized(state), |w, g, [m, v, x]| {
        let (m, v) = averages(w, g, m, v);
        // Not `max`, which would drop a NaN.
        let x = if x > v { x } else { v };
        (stepped(w, m, x), [m, v, x])
    });
}

pub fn rmsprop<T: Float>(p: &RmsProp, w: &mut [T], g: &[T], state: Vec<&mut [T]>) {
    let (lr, alpha, mix, eps) = (T::of(p.lr), T::of(p.alpha), T::of(p.mix), T::of(p.eps));
    let momentum = T::of(p.momentum);
    let decay = decay::<T>(p.weight_decay);
    let square = |v: T, g: T| v * alpha + mix * g * g;
    match (p.centered == 1, p.momentum != 0.0) {
        (false, false) => each(w, g, sized(state), |w, g, [v]| {
            let g = decay(g, w);
            let v = square(v, g);
            (w - lr * g / (v.sqrt() + eps), [v])
        }),
        (false, true) => each(w, g, sized(state), |w, g, [v, b]| {
            let g = decay(g, w);
            let v = square(v, g);
            let b = b * momentum + g / (v.sqrt() + eps);
            (w - lr * b, [v, b])
        }),
        (true, false) => each(w, g, sized(state), |w, g, [v, m]| {
            let g = decay(g, w);
            let (v, m) = (square(v, g), lerp(m, g, mix));
            (w - lr * g / ((v - m * m).sqrt() + eps), [v, m])
        }),
        (true, true) => each(w, g, sized(state), |w, g, [v, m, b]| {
            let g = decay(g, w);
            let (v, m) = (square(v, g), lerp(m, g, mix));
            let b = b * momentum + g / ((v - m * m).sqrt() + eps);
            (w - lr * b, [v, m, b])
        }),
    }
}

pub fn adagrad<T: Float>(p: &Adagrad, w: &mut [T], g: &[T], state: Vec<&mut [T]>) {
    let (lr, eps) = (T::of(p.lr), T::of(p.eps));
    let decay = decay::<T>(p.weight_decay);
    each(w, g, sized(state), |w, g, [s]| {
        let g = decay(g, w);
        let s = s + g * g;
        (w - lr * g / (s.sqrt() + eps), [s])
    });
}

/// The gradient with weight decay; without any, a parameter that is infinite leaves it alone.
fn decay<T: Float>(weight_decay: f64) -> impl Fn(T, T) -> T + Sync {
    let factor = T::of(weight_decay);
    move |g, w| if weight_decay == 0.0 { g } else { g + factor * w }
}

/// From `a` to `b` by `weight`, from whichever end is nearer, so that a weight of 1 gives `b`.
fn lerp<T: Float>(a: T, b: T, weight: T) -> T {
    if weight < T::of(0.5) { a + weight * (b - a) } else { b - (b - a) * (T::one() - weight) }
}

fn sized<T, const N: usize>(state: Vec<&mut [T]>) -> [&mut [T]; N] {
    state.try_into().ok().expect("the host function counted the state buffers")
}

/// `x`, or 0 where it is too small for a normal number of its type. The averages of a weight that gets no
/// gradient any more fade to such, and processors take a hundred times as long over them.
#[inline(always)]
fn normal<T: Float>(x: T) -> T {
    if x.abs() < T::min_positive_value() { T::zero() } else { x }
}

/// Applies `rule` to every element, on several threads when there are many.
fn each<T: Float, const N: usize>(
    w: &mut [T],
    g: &[T],
    mut state: [&mut [T]; N],
    rule: impl Fn(T, T, [T; N]) -> (T, [T; N]) + Sync + Copy,
) {
    const CHUNK: usize = 16 * 1024;
    if w.len() <= CHUNK {
        let (n, g) = (w.len(), &g[..w.len()]);
        let mut state = state.each_mut().map(|s| &mut s[..n]);
        for i in 0..n {
            let (next, kept) = rule(w[i], g[i], std::array::from_fn(|k| state[k][i]));
            w[i] = next;
            (0..N).for_each(|k| state[k][i] = normal(kept[k]));
        }
        return;
    }
    let middle = w.len() / 2;
    let (w0, w1) = w.split_at_mut(middle);
    let (g0, g1) = g.split_at(middle);
    let mut halves = state.each_mut().map(|s| s.split_at_mut(middle));
    let state0 = halves.each_mut().map(|half| std::mem::take(&mut half.0));
    let state1 = halves.map(|half| half.1);
    rayon::join(|| each(w0, g0, state0, rule), || each(w1, g1, state1, rule));
}
