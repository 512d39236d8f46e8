//! The same elements in another shape, order or extent. Reshaping shares the buffer; everything
//! else copies, because every tensor is contiguous and row-major.

use std::sync::Arc;

use voxgrad_kernels::ops::elementwise::fill;
use voxgrad_kernels::ops::layout::{self, IndexSelect, read_strided, write_strided};
use voxgrad_kernels::{Error as KernelError, Storage};

use super::reduce::sum_to;
use crate::error::shape_error;
use crate::{Result, Shape, Tensor};

impl Tensor {
    /// The same elements in `shape`, without copying them.
    ///
    /// # Errors
    /// When `shape` has another number of elements.
    pub fn reshape(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        self.reshape_op("reshape", shape.into())
    }

    fn reshape_op(&self, op: &'static str, shape: Shape) -> Result<Tensor> {
        if shape.numel()? != self.numel() {
            let (have, n) = (self.shape(), self.numel());
            return shape_error(
                op,
                format!("{have} has {n} elements, {shape} would have {}", shape.numel()?),
            );
        }
        Ok(Tensor::from_op(op, self.storage(), shape, &[self], |dy, _| Ok(vec![Some(dy.clone())])))
    }

    /// [`Tensor::reshape`] where one size may be -1: whatever is left over.
    pub fn view(&self, sizes: &[isize]) -> Result<Tensor> {
        let known = || sizes.iter().filter(|&&size| size != -1);
        let product = known().try_fold(1usize, |n, &size| n.checked_mul(usize::try_from(size).ok()?));
        let left = match (product, sizes.len() - known().count()) {
            (Some(_), 0) => 0,
            (Some(n), 1) if n > 0 && self.numel().is_multiple_of(n) => self.numel() / n,
            _ => return shape_error("view", format!("{} does not fit into {sizes:?}", self.shape())),
        };
        let sizes = sizes.iter().map(|&size| usize::try_from(size).unwrap_or(left));
        self.reshape_op("view", sizes.collect::<Vec<_>>().into())
    }

    /// All dimensions from `start_dim` on as one: `flatten(1)` keeps the samples of a batch apart.
    pub fn flatten(&self, start_dim: isize) -> Result<Tensor> {
        if self.ndim() == 0 {
            return self.reshape_op("flatten", [1].into());
        }
        let start = self.shape().dim("flatten", start_dim)?;
        let (kept, merged) = self.shape().split_at(start);
        self.reshape_op("flatten", [kept, &[merged.iter().product()]].concat().into())
    }

    /// Without dimension `dim` if its size is 1, else as it is.
    pub fn squeeze(&self, dim: isize) -> Result<Tensor> {
        let dim = self.shape().dim("squeeze", dim)?;
        let mut sizes = self.shape().to_vec();
        if sizes[dim] == 1 {
            sizes.remove(dim);
        }
        self.reshape_op("squeeze", sizes.into())
    }

    /// With a dimension of size 1 put in at `dim`; -1 puts it last.
    pub fn unsqueeze(&self, dim: isize) -> Result<Tensor> {
        let longer: Shape = [&self.shape()[..], &[1]].concat().into();
        let dim = longer.dim("unsqueeze", dim)?;
        let mut sizes = self.shape().to_vec();
        sizes.insert(dim, 1);
        self.reshape_op("unsqueeze", sizes.into())
    }

    /// The dimensions in the order `dims`: `permute(&[1, 0])` transposes a matrix.
    pub fn permute(&self, dims: &[usize]) -> Result<Tensor> {
        self.permute_op("permute", dims.to_vec())
    }

    /// With two dimensions exchanged.
    pub fn transpose(&self, a: isize, b: isize) -> Result<Tensor> {
        let (a, b) = (self.shape().dim("transpose", a)?, self.shape().dim("transpose", b)?);
        let mut dims: Vec<usize> = (0..self.ndim()).collect();
        dims.swap(a, b);
        self.permute_op("transpose", dims)
    }

    /// The transpose of a matrix.
    pub fn t(&self) -> Result<Tensor> {
        match self.ndim() {
            2 => self.permute_op("t", vec![1, 0]),
            _ => shape_error("t", format!("{} is not a matrix", self.shape())),
        }
    }

    fn permute_op(&self, op: &'static str, dims: Vec<usize>) -> Result<Tensor> {
        // Where each dimension goes.
        let mut back = vec![usize::MAX; dims.len()];
        for (place, &d) in dims.iter().enumerate() {
            if let Some(back) = back.get_mut(d) {
                *back = place;
            }
        }
        if dims.len() != self.ndim() || back.contains(&usize::MAX) {
            return shape_error(
                op,
                format!("{dims:?} is not an order of the dimensions of {}", self.shape()),
            );
        }
        let y = permuted(&self.storage(), self.shape(), &dims)?;
        let shape: Shape = dims.iter().map(|&d| self.shape()[d]).collect::<Vec<_>>().into();
        Ok(Tensor::from_op(op, y, shape.clone(), &[self], move |dy, _| {
            Ok(vec![Some(permuted(dy, &shape, &back)?)])
        }))
    }

    /// Repeated along every dimension of size 1, and along new ones in front, to fill `shape`.
    pub fn expand(&self, shape: impl Into<Shape>) -> Result<Tensor> {
        let (from, shape) = (self.shape().clone(), shape.into());
        if from.broadcast(&shape, "expand")? != shape {
            return shape_error("expand", format!("{from} does not stretch to {shape}"));
        }
        let y = expanded(&self.storage(), &from, &shape)?;
        Ok(Tensor::from_op("expand", y, shape.clone(), &[self], move |dy, _| {
            Ok(vec![Some(sum_to(dy.clone(), &shape, &from)?)])
        }))
    }

    /// `tensors` one after the other along `dim`; their other sizes must agree.
    pub fn cat(tensors: &[&Tensor], dim: isize) -> Result<Tensor> {
        let Some(first) = tensors.first() else {
            return shape_error("cat", "there is no tensor to concatenate".into());
        };
        let dim = first.shape().dim("cat", dim)?;
        let mut sizes = first.shape().to_vec();
        sizes[dim] = 0;
        for t in tensors {
            let others_agree =
                t.ndim() == sizes.len() && (0..t.ndim()).all(|d| d == dim || t.shape()[d] == sizes[d]);
            if !others_agree {
                let shapes: Vec<_> = tensors.iter().map(|t| t.shape()).collect();
                return shape_error("cat", format!("{shapes:?} differ in more than dimension {dim}"));
            }
            first.same_kind("cat", t)?;
            sizes[dim] += t.shape()[dim];
        }
        let shape = Shape::from(sizes);
        let mut y = Storage::empty(&first.device(), first.dtype(), shape.numel()?)?;
        let strides = shape.strides();
        let mut parts = Vec::with_capacity(tensors.len());
        let mut offset = 0;
        for t in tensors {
            write_strided(&mut y, offset, t.shape(), &strides, &t.storage())?;
            parts.push((offset, t.shape().clone()));
            offset += t.shape()[dim] * strides[dim];
        }
        Ok(Tensor::from_op("cat", y, shape, tensors, move |dy, wanted| {
            let cut =
                |(offset, shape): &(usize, Shape)| Ok(Arc::new(read_strided(dy, *offset, shape, &strides)?));
            parts.iter().zip(wanted).map(|(part, &wanted)| wanted.then(|| cut(part)).transpose()).collect()
        }))
    }

    fn same_kind(&self, op: &'static str, other: &Tensor) -> Result<()> {
        if self.device() != other.device() {
            return Err(KernelError::DeviceMismatch { op, left: self.device(), right: other.device() }.into());
        }
        if self.dtype() != other.dtype() {
            return Err(KernelError::DTypeMismatch { op, left: self.dtype(), right: other.dtype() }.into());
        }
        Ok(())
    }

    /// Every `step`th element from `start` up to, but not including, `stop` along `dim`. Both are
    /// cut to the size of the dimension.
    pub fn slice(&self, dim: isize, start: usize, stop: usize, step: usize) -> Result<Tensor> {
        let dim = self.shape().dim("slice", dim)?;
        if step == 0 {
            return shape_error("slice", format!("a step of 0 along dimension {dim} of {}", self.shape()));
        }
        let size = self.shape()[dim];
        let (stop, step) = (stop.min(size), step.min(size.max(1)));
        let start = start.min(stop);
        let mut sizes = self.shape().to_vec();
        sizes[dim] = (stop - start).div_ceil(step);
        let mut strides = self.shape().strides();
        let offset = start * strides[dim];
        strides[dim] *= step;
        self.cut("slice", offset, sizes.into(), strides)
    }

    /// `len` elements from `start` along `dim`.
    ///
    /// # Errors
    /// When the dimension isn't that long.
    pub fn narrow(&self, dim: isize, start: usize, len: usize) -> Result<Tensor> {
        let size = self.size(dim)?;
        match start.checked_add(len) {
            Some(stop) if stop <= size => self.slice(dim, start, stop, 1),
            _ => shape_error(
                "narrow",
                format!("{len} elements from {start} leave dimension {dim} of {}", self.shape()),
            ),
        }
    }

    /// A part of the tensor; the gradient outside it is 0.
    fn cut(&self, op: &'static str, offset: usize, part: Shape, strides: Vec<usize>) -> Result<Tensor> {
        let y = read_strided(&self.storage(), offset, &part, &strides)?;
        let n = self.numel();
        Ok(Tensor::from_op(op, y, part.clone(), &[self], move |dy, _| {
            let mut dx = Storage::zeros(&dy.device(), dy.dtype(), n)?;
            write_strided(&mut dx, offset, &part, &strides, dy)?;
            Ok(vec![Some(dx.into())])
        }))
    }

    /// With a margin of `value`: `margins` are the widths before and after the last dimension,
    /// then before and after the one in front of it, and so on, as in PyTorch.
    pub fn pad(&self, margins: &[usize], value: f64) -> Result<Tensor> {
        if !margins.len().is_multiple_of(2) || margins.len() > 2 * self.ndim() {
            let message = format!("{margins:?} are not pairs for the last dimensions of {}", self.shape());
            return shape_error("pad", message);
        }
        let inside = self.shape().clone();
        let (mut sizes, mut before) = (inside.to_vec(), vec![0; inside.len()]);
        for (pair, d) in margins.chunks_exact(2).zip((0..inside.len()).rev()) {
            sizes[d] = sizes[d].saturating_add(pair[0]).saturating_add(pair[1]);
            before[d] = pair[0];
        }
        let shape = Shape::from(sizes);
        let mut y = Storage::empty(&self.device(), self.dtype(), shape.numel()?)?;
        let strides = shape.strides();
        let offset = before.iter().zip(&strides).map(|(before, stride)| before * stride).sum();
        fill(&mut y, value)?;
        write_strided(&mut y, offset, &inside, &strides, &self.storage())?;
        Ok(Tensor::from_op("pad", y, shape, &[self], move |dy, _| {
            Ok(vec![Some(read_strided(dy, offset, &inside, &strides)?.into())])
        }))
    }

    /// The elements along `dim` that `index`, a u32 tensor of one dimension, names, in its order.
    ///
    /// # Errors
    /// When an index is not below the size of the dimension; on a GPU whatever is next read from the
    /// device gives that error.
    pub fn index_select(&self, dim: isize, index: &Tensor) -> Result<Tensor> {
        let op = "index_select";
        let dim = self.shape().dim(op, dim)?;
        if index.ndim() != 1 {
            return shape_error(op, format!("the indices are {}, one dimension is expected", index.shape()));
        }
        let side = |sizes: &[usize]| sizes.iter().product::<usize>() as u32;
        let p = IndexSelect {
            outer: side(&self.shape()[..dim]),
            dim: side(&self.shape()[dim..=dim]),
            inner: side(&self.shape()[dim + 1..]),
            count: side(index.shape()),
        };
        let index = index.storage();
        let y = layout::index_select(&p, &self.storage(), &index)?;
        let mut sizes = self.shape().to_vec();
        sizes[dim] = index.len();
        Ok(Tensor::from_op(op, y, sizes, &[self], move |dy, _| {
            Ok(vec![Some(layout::index_select_backward(&p, dy, &index)?.into())])
        }))
    }
}

/// `x`, of sizes `sizes`, with its dimensions in the order `dims`. Shares the buffer where no
/// element moves.
pub(crate) fn permuted(x: &Arc<Storage>, sizes: &[usize], dims: &[usize]) -> Result<Arc<Storage>> {
    if dims.iter().filter(|&&d| sizes[d] != 1).is_sorted() {
        return Ok(x.clone());
    }
    let strides = Shape::from(sizes).strides();
    let (sizes, strides): (Vec<_>, Vec<_>) = dims.iter().map(|&d| (sizes[d], strides[d])).unzip();
    Ok(Arc::new(read_strided(x, 0, &sizes, &strides)?))
}

/// `x`, of shape `from`, repeated to fill `to`. Shares the buffer where nothing is repeated.
pub(crate) fn expanded(x: &Arc<Storage>, from: &Shape, to: &Shape) -> Result<Arc<Storage>> {
    if from.numel()? == to.numel()? {
        return Ok(x.clone());
    }
    let added = to.len() - from.len();
    let own = from.strides();
    let stride = |d: usize| if d < added || from[d - added] != to[d] { 0 } else { own[d - added] };
    let strides: Vec<usize> = (0..to.len()).map(stride).collect();
    Ok(Arc::new(read_strided(x, 0, to, &strides)?))
}
