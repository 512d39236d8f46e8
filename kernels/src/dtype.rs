//! Element types: what a buffer can hold, and the arithmetic kernels may use on it.

use std::fmt;

use crate::device::cpu::{Buffer, Pooled};
use crate::ops::matmul::dots::{self, Dots};
use crate::ops::matmul::tile::{self, Tile};
use crate::{Error, Result};

/// The type of a buffer's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit floats: training and inference.
    F32,
    /// 64-bit floats: gradient checks and reference results.
    F64,
    /// 32-bit unsigned integers: class labels and indices.
    U32,
}

impl DType {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            DType::F32 | DType::U32 => 4,
            DType::F64 => 8,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::U32 => "u32",
        })
    }
}

/// A type that buffers can hold.
pub trait Element: bytemuck::Pod + Send + Sync + PartialEq + fmt::Debug {
    /// Its name at run time.
    const DTYPE: DType;
    /// What recycled memory is filled with in debug builds, so that a kernel that forgets to write
    /// an element is seen at once.
    const POISON: Self;
    #[doc(hidden)]
    fn pool() -> &'static crate::device::cpu::Pool<Self>;
    #[doc(hidden)]
    fn scratch() -> &'static crate::device::scratch::Waiting<Self>;
    #[doc(hidden)]
    fn wrap(data: Pooled<Self>) -> Buffer;
    #[doc(hidden)]
    fn unwrap(buffer: &Buffer) -> Option<&Pooled<Self>>;
    #[doc(hidden)]
    fn unwrap_mut(buffer: &mut Buffer) -> Option<&mut Pooled<Self>>;
}

macro_rules! element {
    ($T:ty, $variant:ident, $poison:expr) => {
        impl Element for $T {
            const DTYPE: DType = DType::$variant;
            const POISON: Self = $poison;
            fn pool() -> &'static crate::device::cpu::Pool<Self> {
                static POOL: crate::device::cpu::Pool<$T> = crate::device::cpu::Pool::new();
                &POOL
            }
            fn scratch() -> &'static crate::device::scratch::Waiting<Self> {
                static WAITING: crate::device::scratch::Waiting<$T> = std::sync::Mutex::new(Vec::new());
                &WAITING
            }
            fn wrap(data: Pooled<Self>) -> Buffer {
                Buffer::$variant(data)
            }
            fn unwrap(buffer: &Buffer) -> Option<&Pooled<Self>> {
                match buffer {
                    Buffer::$variant(data) => Some(data),
                    _ => None,
                }
            }
            fn unwrap_mut(buffer: &mut Buffer) -> Option<&mut Pooled<Self>> {
                match buffer {
                    Buffer::$variant(data) => Some(data),
                    _ => None,
                }
            }
        }
    };
}

element!(f32, F32, f32::NAN);
element!(f64, F64, f64::NAN);
element!(u32, U32, 0xDEAD_BEEF);

/// The two float types: what the CPU kernels are generic over.
pub trait Float:
    Element + num_traits::Float + std::iter::Sum + std::ops::AddAssign + std::ops::MulAssign
{
    /// The nearest value to a constant of the formula.
    fn of(x: f64) -> Self;
    /// This value as f64, exactly.
    fn f64(self) -> f64;
    #[doc(hidden)]
    fn tile(form: usize, narrow: bool) -> Tile<Self>;
    #[doc(hidden)]
    fn dots(form: usize) -> Dots<Self>;
}

impl Float for f32 {
    fn of(x: f64) -> f32 {
        x as f32
    }
    fn f64(self) -> f64 {
        f64::from(self)
    }
    fn tile(form: usize, narrow: bool) -> Tile<f32> {
        tile::forms::f32(form, narrow)
    }
    fn dots(form: usize) -> Dots<f32> {
        dots::forms::f32(form)
    }
}

impl Float for f64 {
    fn of(x: f64) -> f64 {
        x
    }
    fn f64(self) -> f64 {
        self
    }
    fn tile(form: usize, narrow: bool) -> Tile<f64> {
        tile::forms::f64(form, narrow)
    }
    fn dots(form: usize) -> Dots<f64> {
        dots::forms::f64(form)
    }
}

/// Runs the body with `$T` standing for the float type that `$dtype` names, or answers with an
/// [`Error::DType`]: `for_float!("tanh", x.dtype(), T => cpu::tanh::<T>(x.as_slice()?, ..))`. It is a launch of that
/// name for `KERNEL_LOG`.
macro_rules! for_float {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                let _launch = $crate::device::log::begin($op);
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                let _launch = $crate::device::log::begin($op);
                $body
            }
            other => return $crate::dtype::not_a_float($op, other),
        }
    };
}
/// As `for_float!`, and u32 too: for ops that only move elements. Without a name it is no launch.
macro_rules! for_element {
    ($op:expr, $dtype:expr, $T:ident => $body:expr) => {{
        let _launch = $crate::device::log::begin($op);
        for_element!($dtype, $T => $body)
    }};
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            $crate::DType::U32 => {
                type $T = u32;
                $body
            }
        }
    };
}
pub(crate) use {for_element, for_float};

pub(crate) fn not_a_float<T>(op: &'static str, got: DType) -> Result<T> {
    Err(Error::DType { op, expected: "f32 or f64".into(), got })
}
