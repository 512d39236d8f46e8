//! Arithmetic on two buffers with broadcasting, each operation beside its two derivatives.

use super::cpu;
use crate::device::kernel::source;
use crate::device::{Grid, Kernel, Source, log};
use crate::dtype::for_float;
use crate::error::shape_error;
use crate::ops::layout::{MAX_DIMS, check_size, collapse, stretched_strides};
use crate::storage::same_device_and_dtype;
use crate::{Device, Float, Result, Storage};

/// An operation on two elements, a and b.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binary {
    /// a + b
    Add,
    /// a - b
    Sub,
    /// a b
    Mul,
    /// a / b
    Div,
    /// a^b
    Pow,
    /// The smaller one.
    Minimum,
    /// The larger one.
    Maximum,
}

/// One of the two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// a
    Left,
    /// b
    Right,
}

/// Where the operands of an output element stand: dimension by dimension, outermost first, a
/// stride into a and one into b, 0 where the operand is stretched. Neighbouring dimensions that
/// one stride describes are merged.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Broadcast {
    /// The number of output elements.
    pub n: u32,
    /// How many entries of the arrays count, at least 1.
    pub ndim: u32,
    /// Sizes of the output.
    pub shape: [u32; MAX_DIMS],
    /// Strides into a.
    pub a: [u32; MAX_DIMS],
    /// Strides into b.
    pub b: [u32; MAX_DIMS],
}

impl Broadcast {
    fn new(op: Binary, a: (&Storage, &[usize]), b: (&Storage, &[usize])) -> Result<Broadcast> {
        let name = op.name();
        same_device_and_dtype(name, &[a.0, b.0])?;
        check_size(name, a.0, a.1)?;
        check_size(name, b.0, b.1)?;
        let ndim = a.1.len().max(b.1.len());
        let size = |shape: &[usize], d: usize| match (d + shape.len()).checked_sub(ndim) {
            Some(d) => shape[d],
            None => 1,
        };
        let mut shape = Vec::with_capacity(ndim);
        for d in 0..ndim {
            shape.push(match (size(a.1, d), size(b.1, d)) {
                (x, y) if x == y || y == 1 => x,
                (1, y) => y,
                _ => return shape_error(name, format!("{:?} and {:?} do not broadcast", a.1, b.1)),
            });
        }
        let strides = [&stretched_strides(a.1, &shape)[..], &stretched_strides(b.1, &shape)[..]];
        let (n, ndim, shape, [a, b]) = collapse(name, &shape, strides)?;
        Ok(Broadcast { n, ndim, shape, a, b })
    }
}

/// The table of all operations: y, then the gradients of a and b.
fn table<T: Float, U: Use<T>>(op: Binary, each: U) {
    let (zero, one) = (T::zero(), T::one());
    match op {
        Binary::Add => each.of(|a, b| a + b, |_, _, dy| dy, |_, _, dy| dy),
        Binary::Sub => each.of(|a, b| a - b, |_, _, dy| dy, |_, _, dy| -dy),
        Binary::Mul => each.of(|a, b| a * b, |_, b, dy| dy * b, |a, _, dy| dy * a),
        Binary::Div => each.of(|a, b| a / b, |_, b, dy| dy / b, |a, b, dy| -dy * (a / b / b)),
        // a^0 is 1 everywhere, and 0^b is 0 all around b > 0: their gradients are 0, not NaN.
        Binary::Pow => each.of(
            |a, b| a.powf(b),
            |a, b, dy| if b == zero { zero } else { dy * b * a.powf(b - one) },
            |a, b, dy| if a == zero && b >= zero { zero } else { dy * a.powf(b) * a.ln() },
        ),
        // Where both are equal each takes half. A NaN in a wins, one in b wins by default.
        Binary::Minimum => each.of(
            |a, b| if a < b || a.is_nan() { a } else { b },
            |a, b, dy| share(dy, a > b, a == b),
            |a, b, dy| share(dy, b > a, a == b),
        ),
        Binary::Maximum => each.of(
            |a, b| if a > b || a.is_nan() { a } else { b },
            |a, b, dy| share(dy, a < b, a == b),
            |a, b, dy| share(dy, b < a, a == b),
        ),
    }
}

/// What the loser, either one in a tie, or the winner gets of the gradient.
fn share<T: Float>(dy: T, lost: bool, tied: bool) -> T {
    let half = T::of(0.5) * dy;
    let share = if tied { half } else { dy };
    if lost { T::zero() } else { share }
}

/// What can be done with a row of the table.
trait Use<T> {
    fn of(
        self,
        y: impl Fn(T, T) -> T + Sync,
        da: impl Fn(T, T, T) -> T + Sync,
        db: impl Fn(T, T, T) -> T + Sync,
    );
}

struct Forward<'a, T> {
    p: &'a Broadcast,
    a: &'a [T],
    b: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Use<T> for Forward<'_, T> {
    fn of(
        self,
        y: impl Fn(T, T) -> T + Sync,
        _: impl Fn(T, T, T) -> T + Sync,
        _: impl Fn(T, T, T) -> T + Sync,
    ) {
        cpu::broadcast(self.p, self.a, self.b, self.y, y);
    }
}

struct Backward<'a, T> {
    p: &'a Broadcast,
    side: Side,
    a: &'a [T],
    b: &'a [T],
    dy: &'a [T],
    dx: &'a mut [T],
}

impl<T: Float> Use<T> for Backward<'_, T> {
    fn of(
        self,
        _: impl Fn(T, T) -> T + Sync,
        da: impl Fn(T, T, T) -> T + Sync,
        db: impl Fn(T, T, T) -> T + Sync,
    ) {
        match self.side {
            Side::Left => cpu::broadcast_backward(self.p, self.a, self.b, self.dy, self.dx, da),
            Side::Right => cpu::broadcast_backward(self.p, self.a, self.b, self.dy, self.dx, db),
        }
    }
}

pub(crate) static SOURCE: Source = source!("binary": "math", "binary");
static FORWARD: Kernel = Kernel::new(&SOURCE, "binary_forward");
static BACKWARD: Kernel = Kernel::new(&SOURCE, "binary_backward");

/// What the GPU kernels are told.
#[repr(C)]
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
struct BinaryCall {
    op: u32,
    side: u32,
    n: u32,
    ndim: u32,
    shape: [u32; MAX_DIMS],
    a: [u32; MAX_DIMS],
    b: [u32; MAX_DIMS],
}

impl BinaryCall {
    fn new(op: Binary, side: Side, p: &Broadcast) -> BinaryCall {
        let Broadcast { n, ndim, shape, a, b } = *p;
        BinaryCall { op: op as u32, side: side as u32, n, ndim, shape, a, b }
    }
}

/// `y = a op b`, each buffer with its shape; y has the shape the two broadcast to.
pub fn binary(op: Binary, a: (&Storage, &[usize]), b: (&Storage, &[usize])) -> Result<Storage> {
    let p = Broadcast::new(op, a, b)?;
    let (a, b) = (a.0, b.0);
    let mut y = Storage::empty(&a.device(), a.dtype(), p.n as usize)?;
    match a.device() {
        Device::Cpu => for_float!(op.name(), a.dtype(), T => {
            let each = Forward::<T> { p: &p, a: a.as_slice()?, b: b.as_slice()?, y: y.as_mut_slice()? };
            table::<T, _>(op, each)
        }),
        gpu => {
            let call = BinaryCall::new(op, Side::Left, &p);
            gpu.launch(&FORWARD, Grid::threads(y.len()), &call, &[a, b], &mut [&mut y])?
        }
    }
    Ok(y)
}

/// The gradient of one operand in the shape of `dy`, the broadcast one: where the operand was
/// stretched, the sum over the stretched dimensions is still to be taken.
pub fn binary_backward(
    op: Binary,
    side: Side,
    a: (&Storage, &[usize]),
    b: (&Storage, &[usize]),
    dy: &Storage,
) -> Result<Storage> {
    let p = Broadcast::new(op, a, b)?;
    let (a, b) = (a.0, b.0);
    same_device_and_dtype(op.name(), &[a, dy])?;
    if dy.len() != p.n as usize {
        return shape_error(op.name(), format!("{} gradients arrive for {} outputs", dy.len(), p.n));
    }
    let mut dx = Storage::empty(&dy.device(), dy.dtype(), dy.len())?;
    match dy.device() {
        Device::Cpu => for_float!(op.name(), dy.dtype(), T => {
            log::describe(&format_args!("backward {side:?}"), 0);
            let (a, b, dy, dx) = (a.as_slice()?, b.as_slice()?, dy.as_slice()?, dx.as_mut_slice()?);
            table::<T, _>(op, Backward::<T> { p: &p, side, a, b, dy, dx })
        }),
        gpu => {
            let call = BinaryCall::new(op, side, &p);
            gpu.launch(&BACKWARD, Grid::threads(dy.len()), &call, &[a, b, dy], &mut [&mut dx])?
        }
    }
    Ok(dx)
}

impl Binary {
    /// The name messages and graphs use.
    pub fn name(self) -> &'static str {
        match self {
            Binary::Add => "add",
            Binary::Sub => "sub",
            Binary::Mul => "mul",
            Binary::Div => "div",
            Binary::Pow => "pow",
            Binary::Minimum => "minimum",
            Binary::Maximum => "maximum",
        }
    }
}
