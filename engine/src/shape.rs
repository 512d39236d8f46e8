//! Shapes: the sizes of a tensor's dimensions, outermost first.

use std::fmt;
use std::ops::Deref;

use crate::Result;
use crate::error::shape_error;

/// The sizes of a tensor's dimensions, row-major, outermost first. `[]` is a scalar.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<usize>);

impl Shape {
    /// The most dimensions a tensor may have: what the kernels' parameter structs hold.
    pub const MAX_DIMS: usize = 8;

    /// The number of elements: the product of the sizes, 1 for a scalar.
    ///
    /// # Errors
    /// When the sizes other than 0 multiply to more than 32 bits count, or there are more than
    /// [`Shape::MAX_DIMS`] dimensions.
    pub fn numel(&self) -> Result<usize> {
        if self.len() > Shape::MAX_DIMS {
            return shape_error(
                "shape",
                format!("{self} has {} dimensions, at most {} are possible", self.len(), Shape::MAX_DIMS),
            );
        }
        // A size of 0 makes the tensor empty, but the other sizes must fit 32 bits all the same.
        let others = self.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)));
        match others.filter(|&n| n <= u32::MAX as usize) {
            Some(_) if self.contains(&0) => Ok(0),
            Some(n) => Ok(n),
            None => {
                shape_error("shape", format!("{self} has more elements than the {} a buffer holds", u32::MAX))
            }
        }
    }

    /// How far apart neighbours along each dimension lie in memory.
    pub fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1; self.len()];
        for d in (1..self.len()).rev() {
            strides[d - 1] = strides[d] * self[d];
        }
        strides
    }

    /// The dimension that `dim` names; -1 is the last one.
    pub fn dim(&self, op: &'static str, dim: isize) -> Result<usize> {
        let wanted = if dim < 0 { dim + self.len() as isize } else { dim };
        if wanted < 0 || wanted >= self.len() as isize {
            return shape_error(op, format!("there is no dimension {dim} in {self}"));
        }
        Ok(wanted as usize)
    }

    /// The shape two tensors take together: aligned at the last dimension, a size of 1 stretches
    /// to the other's size.
    pub fn broadcast(&self, other: &Shape, op: &'static str) -> Result<Shape> {
        let ndim = self.len().max(other.len());
        let at = |shape: &Shape, d: usize| match (d + shape.len()).checked_sub(ndim) {
            Some(d) => shape[d],
            None => 1,
        };
        let mut sizes = Vec::with_capacity(ndim);
        for d in 0..ndim {
            sizes.push(match (at(self, d), at(other, d)) {
                (a, b) if a == b => a,
                (1, b) => b,
                (a, 1) => a,
                _ => return shape_error(op, format!("{self} and {other} do not broadcast")),
            });
        }
        Ok(Shape(sizes))
    }
}

impl Deref for Shape {
    type Target = [usize];
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl From<&[usize]> for Shape {
    fn from(sizes: &[usize]) -> Shape {
        Shape(sizes.to_vec())
    }
}

impl From<Vec<usize>> for Shape {
    fn from(sizes: Vec<usize>) -> Shape {
        Shape(sizes)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    fn from(sizes: [usize; N]) -> Shape {
        Shape(sizes.to_vec())
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(sizes: &[usize; N]) -> Shape {
        Shape(sizes.to_vec())
    }
}

impl From<&Shape> for Shape {
    fn from(shape: &Shape) -> Shape {
        shape.clone()
    }
}

/// Equal sizes in one dimension or a size per dimension: `max_pool2d(2)` or `max_pool2d([2, 1])`.
pub trait PerDim<const N: usize> {
    /// One number per dimension.
    fn per_dim(self) -> [usize; N];
}

impl<const N: usize> PerDim<N> for usize {
    fn per_dim(self) -> [usize; N] {
        [self; N]
    }
}

impl<const N: usize> PerDim<N> for [usize; N] {
    fn per_dim(self) -> [usize; N] {
        self
    }
}
