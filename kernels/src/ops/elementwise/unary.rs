//! Functions of one element, each beside its derivative.

use std::sync::Arc;

use super::cpu;
use super::math::{Fast, Math, Std};
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::storage::same_device_and_dtype;
use crate::{Device, Float, Result, Storage, wide};

/// A function of one element. `a` and `b` are its parameters, where it has some.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unary {
    /// -x
    Neg,
    /// |x|
    Abs,
    /// e^x
    Exp,
    /// The natural logarithm.
    Log,
    /// The square root.
    Sqrt,
    /// x^2
    Square,
    /// The hyperbolic tangent.
    Tanh,
    /// 1 / (1 + e^-x)
    Sigmoid,
    /// x above 0, else 0.
    Relu,
    /// x above 0, else a x.
    LeakyRelu,
    /// x above 0, else a (e^x - 1).
    Elu,
    /// x P(X <= x) for a standard normal X.
    Gelu,
    /// log(1 + e^(a x)) / a, and simply x where a x is above b.
    Softplus,
    /// x within [a, b].
    Clamp,
    /// x + a
    AddScalar,
    /// a x
    MulScalar,
    /// x / a
    DivScalar,
    /// x^a
    PowScalar,
}

/// What the derivative of a function is computed from, and so what the forward pass must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// Nothing: the function is linear.
    Nothing,
    /// The input.
    X,
    /// The output.
    Y,
}

impl Unary {
    /// What [`unary_backward`] wants beside the gradient.
    pub fn saves(self) -> Saved {
        table::<f32, Std, _>(self, 0.0, 0.0, Saves)
    }
}

/// The table of all functions: `y` from `x`, and `dx` from `dy` and what was saved.
fn table<T: Float, M: Math<T>, U: Use<T>>(function: Unary, a: T, b: T, each: U) -> U::Out {
    let (zero, one, two) = (T::zero(), T::one(), T::of(2.0));
    // Comparisons are written so that a NaN input gives a NaN.
    match function {
        Unary::Neg => each.linear(|x| -x, |dy| -dy),
        Unary::Abs => each.keep_x(|x| x.abs(), |x, dy| if x == zero { zero } else { dy * x.signum() }),
        Unary::Exp => each.keep_y(|x| M::exp(x), |y, dy| dy * y),
        Unary::Log => each.keep_x(|x| x.ln(), |x, dy| dy / x),
        Unary::Sqrt => each.keep_y(|x| x.sqrt(), |y, dy| dy / (two * y)),
        Unary::Square => each.keep_x(|x| x * x, |x, dy| two * x * dy),
        Unary::Tanh => each.keep_y(|x| M::tanh(x), |y, dy| dy * (one - y * y)),
        Unary::Sigmoid => each.keep_y(|x| M::sigmoid(x), |y, dy| dy * y * (one - y)),
        Unary::Relu => {
            each.keep_y(|x| if x <= zero { zero } else { x }, |y, dy| if y <= zero { zero } else { dy })
        }
        Unary::LeakyRelu => {
            each.keep_x(|x| if x > zero { x } else { a * x }, |x, dy| dy * if x > zero { one } else { a })
        }
        // Both branches are computed and one is taken: a loop without jumps runs in vector registers.
        Unary::Elu => each.keep_x(
            |x| {
                let below = a * M::exp_m1(x);
                if x > zero { x } else { below }
            },
            |x, dy| {
                let slope = a * M::exp(x);
                if x > zero { dy } else { dy * slope }
            },
        ),
        // The derivative of x P(x) is P(x) + x P'(x).
        Unary::Gelu => each.keep_x(
            |x| x * M::normal(x).0,
            |x, dy| {
                let (p, density) = M::normal(x);
                dy * (p + x * density)
            },
        ),
        // log(1 + e^z) = max(z, 0) + log(1 + e^-|z|), where nothing overflows.
        Unary::Softplus => each.keep_x(
            |x| {
                let z = a * x;
                let positive = if z > zero { z } else { zero };
                let y = (positive + M::ln_1p(M::exp(-z.abs()))) / a;
                if z > b { x } else { y }
            },
            |x, dy| {
                let slope = M::sigmoid(a * x);
                if a * x > b { dy } else { dy * slope }
            },
        ),
        Unary::Clamp => each.keep_x(
            |x| {
                let x = if x < a { a } else { x };
                if x > b { b } else { x }
            },
            |x, dy| if x >= a && x <= b { dy } else { zero },
        ),
        Unary::AddScalar => each.linear(|x| x + a, |dy| dy),
        Unary::MulScalar => each.linear(|x| a * x, |dy| a * dy),
        Unary::DivScalar => each.linear(|x| x / a, |dy| dy / a),
        // x^0 is 1 everywhere: its derivative is 0 at 0 too.
        Unary::PowScalar => {
            each.keep_x(|x| x.powf(a), |x, dy| if a == zero { zero } else { dy * a * x.powf(a - one) })
        }
    }
}

/// What can be done with a row of the table. The name says what is kept for the derivative.
trait Use<T> {
    type Out;
    fn linear(self, y: impl Fn(T) -> T + Sync, dx: impl Fn(T) -> T + Sync) -> Self::Out;
    fn keep_x(self, y: impl Fn(T) -> T + Sync, dx: impl Fn(T, T) -> T + Sync) -> Self::Out;
    fn keep_y(self, y: impl Fn(T) -> T + Sync, dx: impl Fn(T, T) -> T + Sync) -> Self::Out;
}

struct Saves;

impl<T> Use<T> for Saves {
    type Out = Saved;
    fn linear(self, _: impl Fn(T) -> T + Sync, _: impl Fn(T) -> T + Sync) -> Saved {
        Saved::Nothing
    }
    fn keep_x(self, _: impl Fn(T) -> T + Sync, _: impl Fn(T, T) -> T + Sync) -> Saved {
        Saved::X
    }
    fn keep_y(self, _: impl Fn(T) -> T + Sync, _: impl Fn(T, T) -> T + Sync) -> Saved {
        Saved::Y
    }
}

struct Forward<'a, T, const WIDE: bool> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float, const WIDE: bool> Use<T> for Forward<'_, T, WIDE> {
    type Out = ();
    fn linear(self, y: impl Fn(T) -> T + Sync, _: impl Fn(T) -> T + Sync) {
        cpu::map::<T, WIDE>(self.x, self.y, y);
    }
    fn keep_x(self, y: impl Fn(T) -> T + Sync, _: impl Fn(T, T) -> T + Sync) {
        cpu::map::<T, WIDE>(self.x, self.y, y);
    }
    fn keep_y(self, y: impl Fn(T) -> T + Sync, _: impl Fn(T, T) -> T + Sync) {
        cpu::map::<T, WIDE>(self.x, self.y, y);
    }
}

/// A function of what lies in `y`, in its place.
struct ForwardInPlace<'a, T> {
    y: &'a mut [T],
}

impl<T: Float> Use<T> for ForwardInPlace<'_, T> {
    type Out = ();
    fn linear(self, y: impl Fn(T) -> T + Sync, _: impl Fn(T) -> T + Sync) {
        cpu::map_in_place::<T, true>(self.y, y);
    }
    fn keep_x(self, y: impl Fn(T) -> T + Sync, _: impl Fn(T, T) -> T + Sync) {
        cpu::map_in_place::<T, true>(self.y, y);
    }
    fn keep_y(self, y: impl Fn(T) -> T + Sync, _: impl Fn(T, T) -> T + Sync) {
        cpu::map_in_place::<T, true>(self.y, y);
    }
}

struct Backward<'a, T, const WIDE: bool> {
    /// x or y, whichever the function saves; anything for a linear one.
    saved: &'a [T],
    dy: &'a [T],
    dx: &'a mut [T],
}

impl<T: Float, const WIDE: bool> Use<T> for Backward<'_, T, WIDE> {
    type Out = ();
    fn linear(self, _: impl Fn(T) -> T + Sync, dx: impl Fn(T) -> T + Sync) {
        cpu::map::<T, WIDE>(self.dy, self.dx, dx);
    }
    fn keep_x(self, _: impl Fn(T) -> T + Sync, dx: impl Fn(T, T) -> T + Sync) {
        cpu::map2::<T, WIDE>(self.saved, self.dy, self.dx, dx);
    }
    fn keep_y(self, _: impl Fn(T) -> T + Sync, dx: impl Fn(T, T) -> T + Sync) {
        cpu::map2::<T, WIDE>(self.saved, self.dy, self.dx, dx);
    }
}

/// `dy` becomes `dx`, in its place.
struct BackwardInPlace<'a, T> {
    /// As [`Backward::saved`].
    saved: &'a [T],
    dy: &'a mut [T],
}

impl<T: Float> Use<T> for BackwardInPlace<'_, T> {
    type Out = ();
    fn linear(self, _: impl Fn(T) -> T + Sync, dx: impl Fn(T) -> T + Sync) {
        cpu::map_in_place::<T, true>(self.dy, dx);
    }
    fn keep_x(self, _: impl Fn(T) -> T + Sync, dx: impl Fn(T, T) -> T + Sync) {
        cpu::map2_in_place::<T, true>(self.saved, self.dy, dx);
    }
    fn keep_y(self, _: impl Fn(T) -> T + Sync, dx: impl Fn(T, T) -> T + Sync) {
        cpu::map2_in_place::<T, true>(self.saved, self.dy, dx);
    }
}

pub(crate) static SOURCE: Source = source!("unary": "math", "unary");
static FORWARD: Kernel = Kernel::new(&SOURCE, "unary_forward");
static BACKWARD: Kernel = Kernel::new(&SOURCE, "unary_backward");

/// What the GPU kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct UnaryCall {
    function: u32,
    n: u32,
    a: f32,
    b: f32,
}

impl UnaryCall {
    fn new(f: Unary, [a, b]: [f64; 2], x: &Storage) -> UnaryCall {
        UnaryCall { function: f as u32, n: x.len() as u32, a: a as f32, b: b as f32 }
    }
}

/// Rung 0 calls the standard library's functions; rung 1 computes exp, tanh and their kin in f32
/// with the vectorised formulas of `math.rs`; rung 2 does so in the widest registers that the
/// processor has. In f64 all call the standard library.
pub const UNARY_RUNGS: &[&str] = &["std", "vectorised", "wide"];

/// `y = f(x)` with parameters `[a, b]`.
pub fn unary(f: Unary, params: [f64; 2], x: &Storage) -> Result<Storage> {
    unary_rung(usize::MAX, f, params, x)
}

/// [`unary`] by the given rung of [`UNARY_RUNGS`].
pub fn unary_rung(rung: usize, f: Unary, [a, b]: [f64; 2], x: &Storage) -> Result<Storage> {
    let mut y = Storage::empty(&x.device(), x.dtype(), x.len())?;
    match x.device() {
        Device::Cpu => for_float!(f.name(), x.dtype(), T => {
            let (a, b) = (T::of(a), T::of(b));
            let (x, y) = (x.as_slice::<T>()?, y.as_mut_slice::<T>()?);
            match rung {
                0 => table::<T, Std, _>(f, a, b, Forward::<T, false> { x, y }),
                rung if rung > 1 && wide::has_wide() => {
                    table::<T, Fast, _>(f, a, b, Forward::<T, true> { x, y })
                }
                _ => table::<T, Fast, _>(f, a, b, Forward::<T, false> { x, y }),
            }
        }),
        gpu => {
            let p = UnaryCall::new(f, [a, b], x);
            gpu.launch(&FORWARD, Grid::threads(x.len()), &p, &[x], &mut [&mut y])?
        }
    }
    Ok(y)
}

/// `dx` from `dy` and what [`Unary::saves`] names (`None` for [`Saved::Nothing`]).
pub fn unary_backward(f: Unary, params: [f64; 2], saved: Option<&Storage>, dy: &Storage) -> Result<Storage> {
    unary_backward_rung(usize::MAX, f, params, saved, dy)
}

/// [`unary_backward`] by the given rung of [`UNARY_RUNGS`].
pub fn unary_backward_rung(
    rung: usize,
    f: Unary,
    [a, b]: [f64; 2],
    saved: Option<&Storage>,
    dy: &Storage,
) -> Result<Storage> {
    let saved = checked(f, saved, dy)?;
    let mut dx = Storage::empty(&dy.device(), dy.dtype(), dy.len())?;
    match dy.device() {
        Device::Cpu => for_float!(f.name(), dy.dtype(), T => {
            log::describe(&format_args!("backward"), 0);
            let (a, b) = (T::of(a), T::of(b));
            let (saved, dy, dx) = (saved.as_slice::<T>()?, dy.as_slice::<T>()?, dx.as_mut_slice::<T>()?);
            match rung {
                0 => table::<T, Std, _>(f, a, b, Backward::<T, false> { saved, dy, dx }),
                rung if rung > 1 && wide::has_wide() => {
                    table::<T, Fast, _>(f, a, b, Backward::<T, true> { saved, dy, dx })
                }
                _ => table::<T, Fast, _>(f, a, b, Backward::<T, false> { saved, dy, dx }),
            }
        }),
        gpu => {
            let p = UnaryCall::new(f, [a, b], dy);
            gpu.launch(&BACKWARD, Grid::threads(dy.len()), &p, &[saved, dy], &mut [&mut dx])?
        }
    }
    Ok(dx)
}

/// What the derivative reads beside `dy`; a linear function reads nothing but `dy`.
fn checked<'a>(f: Unary, saved: Option<&'a Storage>, dy: &'a Storage) -> Result<&'a Storage> {
    let saved = saved.unwrap_or(dy);
    same_device_and_dtype(f.name(), &[saved, dy])?;
    if saved.len() != dy.len() {
        let message = format!("{} elements were saved, {} gradients arrive", saved.len(), dy.len());
        return shape_error(f.name(), message);
    }
    Ok(saved)
}

/// [`unary_backward`] that puts `dx` where `dy` was, which spares the memory and the time to fill it: on the
/// processor, when nobody else holds `dy`. A shader may not read what it writes.
pub fn unary_backward_in_place(
    f: Unary,
    params: [f64; 2],
    saved: Option<&Storage>,
    dy: &mut Arc<Storage>,
) -> Result<Arc<Storage>> {
    let on_cpu = dy.device() == Device::Cpu;
    let Some(own) = Arc::get_mut(dy).filter(|_| on_cpu) else {
        return Ok(unary_backward(f, params, saved, dy)?.into());
    };
    let linear = f.saves() == Saved::Nothing;
    if !linear {
        checked(f, saved, own)?;
    }
    for_float!(f.name(), own.dtype(), T => {
        log::describe(&format_args!("backward, in place"), 0);
        let saved = match saved {
            Some(saved) if !linear => saved.as_slice::<T>()?,
            _ => &[],
        };
        let [a, b] = params.map(T::of);
        table::<T, Fast, _>(f, a, b, BackwardInPlace { saved, dy: own.as_mut_slice()? });
    });
    Ok(dy.clone())
}

/// `y = f(y)`, in its place.
pub(crate) fn in_place<T: Float>(f: Unary, [a, b]: [f64; 2], y: &mut [T])
where
    Fast: Math<T>,
{
    table::<T, Fast, _>(f, T::of(a), T::of(b), ForwardInPlace { y });
}

/// `dy = f'(x) dy`, in its place, from what [`Unary::saves`] names.
pub(crate) fn backward_in_place<T: Float>(f: Unary, [a, b]: [f64; 2], saved: &[T], dy: &mut [T])
where
    Fast: Math<T>,
{
    table::<T, Fast, _>(f, T::of(a), T::of(b), BackwardInPlace { saved, dy });
}

impl Unary {
    /// The name messages and graphs use.
    pub fn name(self) -> &'static str {
        match self {
            Unary::Neg => "neg",
            Unary::Abs => "abs",
            Unary::Exp => "exp",
            Unary::Log => "log",
            Unary::Sqrt => "sqrt",
            Unary::Square => "square",
            Unary::Tanh => "tanh",
            Unary::Sigmoid => "sigmoid",
            Unary::Relu => "relu",
            Unary::LeakyRelu => "leaky_relu",
            Unary::Elu => "elu",
            Unary::Gelu => "gelu",
            Unary::Softplus => "softplus",
            Unary::Clamp => "clamp",
            Unary::AddScalar => "add_scalar",
            Unary::MulScalar => "mul_scalar",
            Unary::DivScalar => "div_scalar",
            Unary::PowScalar => "pow_scalar",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Unary::*;

    /// Every rung of every function, forward and backward: near the plain one, and the wide rung bit
    /// for bit like the narrow one.
    #[test]
    fn the_rungs_agree() {
        let all = [
            Neg, Abs, Exp, Log, Sqrt, Square, Tanh, Sigmoid, Relu, LeakyRelu, Elu, Gelu, Softplus, Clamp,
            AddScalar, MulScalar, DivScalar, PowScalar,
        ];
        let x: Vec<f32> = (0..1003).map(|i| (i as f32 - 500.0) / 60.0 + 0.001).collect();
        let dy: Vec<f32> = (0..1003).map(|i| (i * 7 % 31) as f32 / 16.0 - 1.0).collect();
        let x = Storage::from_slice(&Device::Cpu, &x).unwrap();
        let dy = Storage::from_slice(&Device::Cpu, &dy).unwrap();
        for f in all {
            let run = |rung| {
                let y = unary_rung(rung, f, [1.5, 3.0], &x).unwrap();
                let saved = match f.saves() {
                    Saved::Nothing => None,
                    Saved::X => Some(&x),
                    Saved::Y => Some(&y),
                };
                let dx = unary_backward_rung(rung, f, [1.5, 3.0], saved, &dy).unwrap();
                [y.to_vec::<f32>().unwrap(), dx.to_vec().unwrap()].concat()
            };
            let (plain, narrow, wide) = (run(0), run(1), run(2));
            for (i, (&a, &b)) in plain.iter().zip(&narrow).enumerate() {
                let near = (a - b).abs() <= 1e-6 + 1e-6 * a.abs() || a.is_nan() && b.is_nan();
                assert!(near, "{f:?}, number {i}: {a} and {b}");
            }
            let bits = |x: Vec<f32>| x.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(narrow), bits(wide), "{f:?}");
        }
    }
}
