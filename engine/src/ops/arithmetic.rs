//! Arithmetic on two tensors, with broadcasting, and on a tensor and a number.
//!
//! Shapes are aligned at the last dimension and a size of 1 stretches to the other's size, as in
//! PyTorch. An element that was used many times gets the sum of all its gradients.

use std::ops;
use std::sync::Arc;

use voxgrad_kernels::Storage;
use voxgrad_kernels::ops::elementwise::{self, Binary, Side, Unary};

use super::reduce::sum_to;
use crate::{Result, Shape, Tensor};

impl Tensor {
    /// a + b; `&a + &b` is the same.
    pub fn add(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Add, other)
    }

    /// a - b; `&a - &b` is the same.
    pub fn sub(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Sub, other)
    }

    /// a b, element by element; `&a * &b` is the same.
    pub fn mul(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Mul, other)
    }

    /// a / b; `&a / &b` is the same.
    pub fn div(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Div, other)
    }

    /// a^b
    pub fn pow(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Pow, other)
    }

    /// The smaller of a and b, NaN if either is; where they are equal the gradient is halved.
    pub fn minimum(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Minimum, other)
    }

    /// The larger of a and b, NaN if either is; where they are equal the gradient is halved.
    pub fn maximum(&self, other: &Tensor) -> Result<Tensor> {
        self.binary(Binary::Maximum, other)
    }

    fn binary(&self, op: Binary, other: &Tensor) -> Result<Tensor> {
        let shape = self.shape().broadcast(other.shape(), op.name())?;
        let a = Operand { storage: self.storage(), shape: self.shape().clone() };
        let b = Operand { storage: other.storage(), shape: other.shape().clone() };
        let y = elementwise::binary(op, a.pair(), b.pair())?;
        let rule = rule(op, a, b, shape.clone(), [self.is_tracked(), other.is_tracked()]);
        Ok(Tensor::from_op(op.name(), y, shape, &[self, other], rule))
    }
}

struct Operand {
    storage: Arc<Storage>,
    shape: Shape,
}

impl Operand {
    fn pair(&self) -> (&Storage, &[usize]) {
        (&self.storage, &self.shape)
    }
}

/// What a backward rule is: the arriving gradient and which gradients are wanted in, those out.
type Rule = Box<dyn FnOnce(&mut Arc<Storage>, &[bool]) -> Result<Vec<Option<Arc<Storage>>>> + Send>;

/// The gradients of a and b, each summed back to its operand's shape.
fn rule(op: Binary, a: Operand, b: Operand, shape: Shape, tracked: [bool; 2]) -> Rule {
    let shapes = [a.shape.clone(), b.shape.clone()];
    let sums = move |full: [Option<Arc<Storage>>; 2], shape: &Shape| {
        let sums =
            full.into_iter().zip(&shapes).map(|(full, to)| full.map(|g| sum_to(g, shape, to)).transpose());
        sums.collect::<Result<Vec<_>>>()
    };
    match op {
        // A sum needs nothing of its operands, and a product of each only where the other learns.
        Binary::Add | Binary::Sub => Box::new(move |dy, wanted| {
            let mut grads = sums([0, 1].map(|i| wanted[i].then(|| dy.clone())), &shape)?;
            if let (Binary::Sub, Some(db)) = (op, &mut grads[1]) {
                *db = Arc::new(elementwise::unary(Unary::Neg, [0.0; 2], db)?);
            }
            Ok(grads)
        }),
        Binary::Mul => {
            let (a, b) = (tracked[1].then_some(a), tracked[0].then_some(b));
            Box::new(move |dy, wanted| {
                let times = |other: &Operand| {
                    elementwise::binary(Binary::Mul, (dy, &shape), other.pair()).map(Arc::new)
                };
                let da = b.as_ref().filter(|_| wanted[0]).map(times).transpose()?;
                let db = a.as_ref().filter(|_| wanted[1]).map(times).transpose()?;
                sums([da, db], &shape)
            })
        }
        Binary::Div | Binary::Pow | Binary::Minimum | Binary::Maximum => Box::new(move |dy, wanted| {
            let side = |side: Side, wanted: bool| {
                let grad = || elementwise::binary_backward(op, side, a.pair(), b.pair(), dy).map(Arc::new);
                wanted.then(grad).transpose()
            };
            sums([side(Side::Left, wanted[0])?, side(Side::Right, wanted[1])?], &shape)
        }),
    }
}

impl Tensor {
    /// x + `value`; `&x + 2.0` is the same.
    pub fn add_scalar(&self, value: f64) -> Result<Tensor> {
        let y = elementwise::unary(Unary::AddScalar, [value, 0.0], &self.storage())?;
        Ok(Tensor::from_op("add_scalar", y, self.shape(), &[self], |dy, _| Ok(vec![Some(dy.clone())])))
    }

    /// x - `value`; `&x - 2.0` is the same.
    pub fn sub_scalar(&self, value: f64) -> Result<Tensor> {
        self.add_scalar(-value)
    }

    /// `value` x; `&x * 2.0` is the same.
    pub fn mul_scalar(&self, value: f64) -> Result<Tensor> {
        self.unary(Unary::MulScalar, [value, 0.0])
    }

    /// x / `value`; `&x / 2.0` is the same.
    pub fn div_scalar(&self, value: f64) -> Result<Tensor> {
        self.unary(Unary::DivScalar, [value, 0.0])
    }

    /// x^`exponent`
    pub fn pow_scalar(&self, exponent: f64) -> Result<Tensor> {
        match exponent {
            2.0 => self.square(),
            _ => self.unary(Unary::PowScalar, [exponent, 0.0]),
        }
    }
}

/// `&a + &b`, `&a + 2.0` and `2.0 + &a`. They can fail, so they end in `?`: `(&a + &b)?`.
macro_rules! operator {
    ($Op:ident, $op:ident, $with_number:ident, |$number:ident, $tensor:ident| $number_first:expr) => {
        impl ops::$Op for &Tensor {
            type Output = Result<Tensor>;
            fn $op(self, other: &Tensor) -> Result<Tensor> {
                Tensor::$op(self, other)
            }
        }
        impl ops::$Op<f64> for &Tensor {
            type Output = Result<Tensor>;
            fn $op(self, number: f64) -> Result<Tensor> {
                self.$with_number(number)
            }
        }
        impl ops::$Op<&Tensor> for f64 {
            type Output = Result<Tensor>;
            fn $op(self, $tensor: &Tensor) -> Result<Tensor> {
                let $number = self;
                $number_first
            }
        }
    };
}

operator!(Add, add, add_scalar, |number, x| x.add_scalar(number));
operator!(Sub, sub, sub_scalar, |number, x| x.neg()?.add_scalar(number));
operator!(Mul, mul, mul_scalar, |number, x| x.mul_scalar(number));
operator!(Div, div, div_scalar, |number, x| x.scalar_like(number)?.div(x));

impl ops::Neg for &Tensor {
    type Output = Result<Tensor>;
    fn neg(self) -> Result<Tensor> {
        Tensor::neg(self)
    }
}
