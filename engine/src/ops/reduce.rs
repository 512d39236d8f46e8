//! Sums, means, variances and extremes over any dimensions. An empty list of dimensions means all
//! of them; with `keepdim` the reduced dimensions stay, with size 1.

use std::sync::Arc;

use voxgrad_kernels::Storage;
use voxgrad_kernels::ops::elementwise::{self, Binary, Unary};
use voxgrad_kernels::ops::reduce::{self, Extreme, Reduce};

use super::layout::{expanded, permuted};
use crate::error::shape_error;
use crate::{Result, Shape, Tensor};

impl Tensor {
    /// The sum over `dims`; 0 over nothing.
    pub fn sum(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        let over = Over::new("sum", self.shape(), dims)?;
        let y = over.sum(self.storage())?;
        Ok(Tensor::from_op("sum", y, over.shape(keepdim), &[self], move |dy, _| {
            // dx = dy, wherever the element went into the sum.
            Ok(vec![Some(over.expand(dy)?)])
        }))
    }

    /// The sum of all elements.
    pub fn sum_all(&self) -> Result<Tensor> {
        self.sum(&[], false)
    }

    /// The mean over `dims`; NaN over nothing.
    pub fn mean(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        let over = Over::new("mean", self.shape(), dims)?;
        let n = over.count() as f64;
        let divide = move |sum: &Storage| elementwise::unary(Unary::DivScalar, [n, 0.0], sum);
        let y = divide(&*over.sum(self.storage())?)?;
        Ok(Tensor::from_op("mean", y, over.shape(keepdim), &[self], move |dy, _| {
            // dx = dy / n
            Ok(vec![Some(over.expand(&Arc::new(divide(dy)?))?)])
        }))
    }

    /// The mean of all elements.
    pub fn mean_all(&self) -> Result<Tensor> {
        self.mean(&[], false)
    }

    /// The variance over `dims`, sum((x - mean)^2) / (n - `correction`): a correction of 1 for
    /// that of the population the n elements were drawn from, 0 for their own.
    pub fn var(&self, dims: &[isize], correction: usize, keepdim: bool) -> Result<Tensor> {
        let over = Over::new("var", self.shape(), dims)?;
        let (n, degrees) = (over.count() as f64, over.count().saturating_sub(correction) as f64);
        let mean = elementwise::unary(Unary::DivScalar, [n, 0.0], &*over.sum(self.storage())?)?;
        let (shape, kept) = (self.shape().clone(), over.shape(true));
        let centred = elementwise::binary(Binary::Sub, (&self.storage(), &shape), (&mean, &kept))?;
        let squares = elementwise::unary(Unary::Square, [0.0; 2], &centred)?;
        let y = elementwise::unary(Unary::DivScalar, [degrees, 0.0], &*over.sum(Arc::new(squares))?)?;
        Ok(Tensor::from_op("var", y, over.shape(keepdim), &[self], move |dy, _| {
            // dx = 2 (x - mean) / (n - correction) dy. What flows through the mean adds up to 0.
            let scaled = elementwise::unary(Unary::MulScalar, [2.0 / degrees, 0.0], dy)?;
            let dx = elementwise::binary(Binary::Mul, (&centred, &shape), (&scaled, &kept))?;
            Ok(vec![Some(dx.into())])
        }))
    }

    /// The largest element over `dims`, and its place as u32: its number among the reduced
    /// elements, row-major. Of several equal ones the first counts and gets the gradient; a NaN
    /// counts as the largest.
    pub fn max(&self, dims: &[isize], keepdim: bool) -> Result<(Tensor, Tensor)> {
        self.extreme(Extreme::Max, dims, keepdim)
    }

    /// The smallest element over `dims`, and its place; otherwise as [`Tensor::max`].
    pub fn min(&self, dims: &[isize], keepdim: bool) -> Result<(Tensor, Tensor)> {
        self.extreme(Extreme::Min, dims, keepdim)
    }

    /// The place of the largest element over `dims`, as u32; see [`Tensor::max`].
    pub fn argmax(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        Ok(self.detach().max(dims, keepdim)?.1)
    }

    fn extreme(&self, which: Extreme, dims: &[isize], keepdim: bool) -> Result<(Tensor, Tensor)> {
        let over = Over::new(which.name(), self.shape(), dims)?;
        if over.count() == 0 {
            return shape_error(
                which.name(),
                format!("there is no element over {dims:?} in {}", self.shape()),
            );
        }
        let side = |d: &[usize]| d.iter().map(|&d| self.shape()[d]).product::<usize>() as u32;
        let (order, [outer, dim, inner]) = over.together();
        let p = Reduce {
            outer: side(&order[..outer]),
            dim: side(&order[outer..][..dim]),
            inner: side(&order[outer + dim..][..inner]),
        };
        let x = permuted(&self.storage(), self.shape(), &order)?;
        let (y, index) = reduce::extreme(which, &p, &x)?;
        let index = Arc::new(index);
        let (saved, shape) = (index.clone(), over.shape(keepdim));
        let y = Tensor::from_op(which.name(), y, &shape, &[self], move |dy, _| {
            // The gradient goes to the element that was chosen, in the order it was chosen in.
            let dx = Arc::new(reduce::extreme_backward(&p, &saved, dy)?);
            let sizes: Vec<usize> = order.iter().map(|&d| over.sizes[d]).collect();
            let mut back = vec![0; order.len()];
            order.iter().enumerate().for_each(|(place, &d)| back[d] = place);
            Ok(vec![Some(permuted(&dx, &sizes, &back)?)])
        });
        Ok((y, Tensor::from_storage(index, shape)))
    }
}

/// A shape and which of its dimensions are reduced.
struct Over {
    sizes: Shape,
    reduced: Vec<bool>,
}

impl Over {
    fn new(op: &'static str, sizes: &Shape, dims: &[isize]) -> Result<Over> {
        let mut reduced = vec![dims.is_empty(); sizes.len()];
        for &dim in dims {
            if std::mem::replace(&mut reduced[sizes.dim(op, dim)?], true) {
                return shape_error(op, format!("dimension {dim} of {sizes} is named twice in {dims:?}"));
            }
        }
        Ok(Over { sizes: sizes.clone(), reduced })
    }

    /// How many elements go into one result.
    fn count(&self) -> usize {
        self.sizes.iter().zip(&self.reduced).filter(|(_, reduced)| **reduced).map(|(size, _)| size).product()
    }

    /// The shape of the result.
    fn shape(&self, keepdim: bool) -> Shape {
        let all = self.sizes.iter().zip(&self.reduced);
        let sizes: Vec<usize> = match keepdim {
            true => all.map(|(&size, &reduced)| if reduced { 1 } else { size }).collect(),
            false => all.filter(|(_, reduced)| !**reduced).map(|(&size, _)| size).collect(),
        };
        sizes.into()
    }

    fn sum(&self, x: Arc<Storage>) -> Result<Arc<Storage>> {
        Ok(reduce::sum_dims(&x, &self.sizes, &self.reduced)?.map_or(x, Arc::new))
    }

    /// One gradient per result, repeated for every element that went into it.
    fn expand(&self, dy: &Arc<Storage>) -> Result<Arc<Storage>> {
        expanded(dy, &self.shape(true), &self.sizes)
    }

    /// An order of the dimensions in which the reduced ones are neighbours, and how many stand
    /// before, among and after them. The order is the tensor's own where that does it.
    fn together(&self) -> (Vec<usize>, [usize; 3]) {
        let ndim = self.sizes.len();
        let matters = |d: &usize| self.reduced[*d] && self.sizes[*d] != 1;
        let first = (0..ndim).find(matters).unwrap_or(0);
        let end = (0..ndim).rfind(matters).map_or(first, |last| last + 1);
        if (first..end).all(|d| self.reduced[d] || self.sizes[d] == 1) {
            return ((0..ndim).collect(), [first, end - first, ndim - end]);
        }
        let (reduced, kept): (Vec<usize>, Vec<usize>) = (0..ndim).partition(|&d| self.reduced[d]);
        ([&kept[..], &reduced[..]].concat(), [kept.len(), reduced.len(), 0])
    }
}

/// The gradient of something of shape `to` that was broadcast to `from`: the sum over everything
/// that was stretched.
pub(crate) fn sum_to(grad: Arc<Storage>, from: &Shape, to: &Shape) -> Result<Arc<Storage>> {
    let added = from.len() - to.len();
    let reduced = (0..from.len()).map(|d| d < added || to[d - added] != from[d]).collect();
    Over { sizes: from.clone(), reduced }.sum(grad)
}
