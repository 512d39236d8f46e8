//! The tensor: a shape, a buffer, and where gradients are wanted the record of its making.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use voxgrad_kernels::{DType, Device, Element, Storage};

use crate::autograd::GradNode;
use crate::error::shape_error;
use crate::{Error, Result, Shape, train_step};

/// An n-dimensional array on one device, contiguous and row-major. Cloning it is cheap: clones
/// share everything.
///
/// ```
/// use voxgrad_engine::{Device, Tensor};
///
/// let x = Tensor::new(&[1.0f32, 2.0, 3.0], [3], &Device::cpu())?.requires_grad();
/// let y = x.square()?.sum_all()?;
/// y.backward()?;
/// assert_eq!(x.grad().unwrap().to_vec::<f32>()?, [2.0, 4.0, 6.0]);
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor(Arc<Inner>);

/// How often any tensor was given other memory: a recorded step uses what its tensors had when it was recorded.
/// One count for all is coarse, and costs no more than another recording.
static MOVES: AtomicU64 = AtomicU64::new(0);

/// See [`MOVES`]; an optimizer's memory counts too.
pub(crate) fn moves() -> u64 {
    MOVES.load(Ordering::Relaxed)
}

/// Notes that memory of a training was replaced.
pub(crate) fn moved() {
    MOVES.fetch_add(1, Ordering::Relaxed);
}

struct Inner {
    /// The buffer is never written while shared: an optimizer puts a new value in this cell, and
    /// a graph that saved the old one keeps the old one.
    storage: RwLock<Arc<Storage>>,
    shape: Shape,
    node: Option<Arc<GradNode>>,
}

impl Tensor {
    /// A tensor of `data`, row-major.
    ///
    /// # Errors
    /// When `data` doesn't have as many elements as `shape`.
    pub fn new<T: Element>(data: &[T], shape: impl Into<Shape>, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        if data.len() != shape.numel()? {
            let n = data.len();
            return shape_error("tensor", format!("{n} elements do not fill the shape {shape}"));
        }
        Ok(Tensor::from_storage(Storage::from_slice(device, data)?, shape))
    }

    /// A tensor of zeros.
    pub fn zeros(shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        Ok(Tensor::from_storage(Storage::zeros(device, dtype, shape.numel()?)?, shape))
    }

    /// A tensor of one value in f32 or f64.
    pub fn full(value: f64, shape: impl Into<Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = shape.into();
        let n = shape.numel()?;
        let mut storage = Storage::empty(device, dtype, n)?;
        voxgrad_kernels::ops::elementwise::fill(&mut storage, value)?;
        Ok(Tensor::from_storage(storage, shape))
    }

    /// A scalar of the type and on the device of `self`, for mixing numbers into tensor formulas.
    pub fn scalar_like(&self, value: f64) -> Result<Tensor> {
        Tensor::full(value, [], self.dtype(), &self.device())
    }

    pub(crate) fn from_storage(storage: impl Into<Arc<Storage>>, shape: impl Into<Shape>) -> Tensor {
        Tensor::with_node(storage.into(), shape.into(), None)
    }

    pub(crate) fn with_node(storage: Arc<Storage>, shape: Shape, node: Option<Arc<GradNode>>) -> Tensor {
        debug_assert_eq!(shape.numel().ok(), Some(storage.len()));
        Tensor(Arc::new(Inner { storage: RwLock::new(storage), shape, node }))
    }

    /// The same values as a leaf that collects a gradient: a parameter.
    pub fn requires_grad(&self) -> Tensor {
        let node = GradNode::leaf(self.shape().clone());
        Tensor::with_node(self.storage(), self.shape().clone(), Some(Arc::new(node)))
    }

    /// The same values outside the graph: no gradient flows through it.
    pub fn detach(&self) -> Tensor {
        Tensor::from_storage(self.storage(), self.shape().clone())
    }

    /// The sizes of its dimensions.
    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// The size of dimension `dim`; -1 is the last one.
    pub fn size(&self, dim: isize) -> Result<usize> {
        Ok(self.shape()[self.shape().dim("size", dim)?])
    }

    /// The number of dimensions.
    pub fn ndim(&self) -> usize {
        self.shape().len()
    }

    /// The number of elements.
    pub fn numel(&self) -> usize {
        self.storage().len()
    }

    /// The type of its elements.
    pub fn dtype(&self) -> DType {
        self.storage().dtype()
    }

    /// Where it lives.
    pub fn device(&self) -> Device {
        self.storage().device()
    }

    /// Whether a gradient flows to or through it.
    pub fn is_tracked(&self) -> bool {
        self.0.node.is_some()
    }

    /// Whether both are the same tensor, not only equal ones.
    pub fn is_same(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What tells it from all other tensors there are now; its clones have the same.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    /// The gradient collected so far, of a leaf made by [`Tensor::requires_grad`].
    pub fn grad(&self) -> Option<Tensor> {
        let grad = self.node()?.grad()?;
        Some(Tensor::from_storage(grad, self.shape().clone()))
    }

    /// Forgets the gradient collected so far.
    pub fn zero_grad(&self) {
        if let Some(node) = self.node() {
            node.set_grad(None);
        }
    }

    pub(crate) fn node(&self) -> Option<&Arc<GradNode>> {
        self.0.node.as_ref()
    }

    /// The buffer as it is now.
    pub(crate) fn storage(&self) -> Arc<Storage> {
        self.0.storage.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Lets `change` write the buffer: in place when nobody else holds it, in a copy otherwise.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut Storage) -> Result<R>) -> Result<R> {
        train_step::written(self);
        let mut cell = self.0.storage.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        if Arc::get_mut(&mut cell).is_none() {
            let copy = Arc::new(cell.copy()?);
            train_step::replaced(self, std::mem::replace(&mut *cell, copy));
            moved();
        }
        change(Arc::get_mut(&mut cell).expect("the copy has one owner"))
    }

    /// Replaces the values of this tensor, for every clone of it, keeping its type and device.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn set(&self, values: &Tensor) -> Result<()> {
        if values.shape() != self.shape() {
            let (ours, theirs) = (self.shape(), values.shape());
            return shape_error("set", format!("the tensor is {ours}, the new values are {theirs}"));
        }
        let values = values.to_dtype(self.dtype())?.to(&self.device())?;
        self.replace(values.storage());
        Ok(())
    }

    /// Copies the values of a tensor of the same size, type and device into this one's memory.
    pub(crate) fn overwrite(&self, values: &Tensor) -> Result<()> {
        self.update(|storage| Ok(storage.copy_from(&values.storage())?))
    }

    /// How many tensors and graphs hold the buffer.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.storage()) - 1
    }

    /// The same values in memory of their own, untracked.
    pub(crate) fn copy(&self) -> Result<Tensor> {
        Ok(Tensor::from_storage(self.storage().copy()?, self.shape().clone()))
    }

    /// Puts a gradient in the place of what a leaf has collected.
    pub(crate) fn set_grad(&self, grad: Option<&Tensor>) {
        if let Some(node) = self.node() {
            node.set_grad(grad.map(Tensor::storage));
        }
    }

    /// Gives the tensor other memory.
    pub(crate) fn replace(&self, storage: Arc<Storage>) {
        moved();
        *self.0.storage.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = storage;
    }

    /// Moves this tensor, and every clone of it, to `device`; a collected gradient goes along.
    pub fn move_to(&self, device: &Device) -> Result<()> {
        if self.device() != *device {
            self.replace(Arc::new(self.storage().to_device(device)?));
            if let Some((node, grad)) = self.node().and_then(|node| Some((node, node.grad()?))) {
                node.set_grad(Some(Arc::new(grad.to_device(device)?)));
            }
        }
        Ok(())
    }

    /// Turns this tensor, and every clone of it, into `dtype`; a collected gradient is forgotten.
    pub fn convert_to(&self, dtype: DType) -> Result<()> {
        if self.dtype() != dtype {
            self.replace(self.detach().to_dtype(dtype)?.storage());
            self.zero_grad();
        }
        Ok(())
    }

    /// All elements on the host, row-major. Waits for the device.
    ///
    /// # Errors
    /// When the elements are not of type `T`.
    pub fn to_vec<T: Element>(&self) -> Result<Vec<T>> {
        Ok(self.storage().to_vec()?)
    }

    /// All elements as f64, whatever their type.
    pub fn to_f64_vec(&self) -> Result<Vec<f64>> {
        Ok(match self.dtype() {
            DType::F32 => self.to_vec::<f32>()?.into_iter().map(f64::from).collect(),
            DType::F64 => self.to_vec()?,
            DType::U32 => self.to_vec::<u32>()?.into_iter().map(f64::from).collect(),
        })
    }

    /// The one element of a tensor that has one. Waits for the device.
    ///
    /// # Errors
    /// When it has none or several.
    pub fn item(&self) -> Result<f64> {
        match self.to_f64_vec()?[..] {
            [value] => Ok(value),
            _ => shape_error("item", format!("{} is not a single element", self.shape())),
        }
    }

    /// The elements of several tensors on one device, one after the other. On a GPU this waits once,
    /// where a call of [`Tensor::to_vec`] for each would wait every time.
    ///
    /// # Errors
    /// When they lie on several devices, or their elements are not all of type `T`.
    pub fn read_all<T: Element>(tensors: &[Tensor]) -> Result<Vec<T>> {
        let all: Vec<Arc<Storage>> = tensors.iter().map(Tensor::storage).collect();
        Ok(Storage::read_all(&all.iter().map(|storage| &**storage).collect::<Vec<_>>())?)
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({:?}, {}, {})", self.shape(), self.dtype(), self.device())
    }
}

/// Shape, type and device, then the elements: all of a small tensor, the first few of a large one.
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let values = self.to_f64_vec().map_err(|_: Error| fmt::Error)?;
        write!(f, "{self:?} ")?;
        for (i, value) in values.iter().take(SHOWN).enumerate() {
            write!(f, "{}{value:.4}", if i == 0 { "[" } else { ", " })?;
        }
        write!(f, "{}", if values.len() > SHOWN { ", ...]" } else { "]" })
    }
}
