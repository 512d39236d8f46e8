//! Storages, and the tensors that are views of them.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek};

use safetensors::Dtype;

use super::archive::Archive;
use super::globals::Global;
use super::objects::{Id, Object, Objects};
use super::{Budget, elements};
use crate::{Shape, Tensor};

/// Elements of one type in a file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Storage<'a> {
    pub dtype: Dtype,
    key: &'a str,
    /// How many elements.
    len: usize,
}

impl<'a> Storage<'a> {
    /// From `("storage", class, key, device, length)`. Where it was saved from does not matter.
    pub fn described(objects: &Objects<'a>, id: Id) -> Result<Storage<'a>, String> {
        if let Object::Tuple(parts) = &objects[id]
            && let [tag, class, key, _device, len] = parts[..]
            && let (Object::Text("storage"), &Object::Global(Global::Storage(dtype)), &Object::Text(key)) =
                (&objects[tag], &objects[class], &objects[key])
        {
            return Ok(Storage { dtype, key, len: count(objects, len)? });
        }
        Err("a storage is described by (\"storage\", class, key, device, length)".into())
    }
}

/// A tensor: element `[i, j, ..]` is number `offset + i stride[0] + j stride[1] + ..` of the storage.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct View<'a> {
    pub storage: Storage<'a>,
    offset: usize,
    size: Vec<usize>,
    stride: Vec<usize>,
}

impl<'a> View<'a> {
    /// From the arguments of `torch._utils._rebuild_tensor_v2`.
    pub fn rebuilt(objects: &Objects<'a>, arguments: &[Id]) -> Result<View<'a>, String> {
        let [storage, offset, size, stride, _requires_grad, _hooks, ref more @ ..] = *arguments else {
            return Err(format!("a tensor of {} arguments", arguments.len()));
        };
        // PyTorch's word for "read me conjugated" or "negated".
        if more.iter().any(|&id| !matches!(&objects[id], Object::None)) {
            return Err("a tensor with flags, which its elements alone do not say".into());
        }
        let Object::Storage(storage) = &objects[storage] else {
            return Err(format!("a tensor of {}, not of a storage", objects[storage].kind()));
        };
        let (size, stride) = (counts(objects, size)?, counts(objects, stride)?);
        if size.len() != stride.len() {
            return Err(format!("{} sizes and {} strides", size.len(), stride.len()));
        }
        let offset = count(objects, offset)?;
        Ok(View { storage: Storage::clone(storage), offset, size, stride })
    }

    /// Copies the elements out of `storage`, row-major. They all lie in it.
    fn gather(&self, storage: &[u8], numel: usize) -> Vec<u8> {
        let width = self.storage.dtype.bitsize() / 8;
        let mut elements = Vec::with_capacity(numel * width);
        let mut place = vec![0; self.size.len()];
        let mut at = self.offset;
        for _ in 0..numel {
            elements.extend_from_slice(&storage[at * width..][..width]);
            for d in (0..place.len()).rev() {
                place[d] += 1;
                at += self.stride[d];
                if place[d] < self.size[d] {
                    break;
                }
                at -= place[d] * self.stride[d];
                place[d] = 0;
            }
        }
        elements
    }

    /// Whether its elements lie one after the other, row-major; a dimension of one element has any stride.
    fn is_dense(&self) -> bool {
        let mut step = 1;
        std::iter::zip(&self.size, &self.stride).rev().all(|(size, stride)| {
            let fits = *size == 1 || *stride == step;
            step *= size;
            fits
        })
    }

    /// The number of the last element in the storage; `None` when that is beyond all numbers.
    fn last(&self) -> Option<usize> {
        let steps = std::iter::zip(&self.size, &self.stride);
        steps.into_iter().try_fold(self.offset, |at, (size, stride)| {
            at.checked_add(size.saturating_sub(1).checked_mul(*stride)?)
        })
    }
}

/// A whole number from 0 up.
fn count(objects: &Objects<'_>, id: Id) -> Result<usize, String> {
    match objects[id] {
        Object::Int(n) => {
            usize::try_from(n).map_err(|_| format!("{n} where a size, stride or offset stands"))
        }
        ref other => Err(format!("{} where a size, stride or offset stands", other.kind())),
    }
}

/// The sizes or strides of a tensor.
fn counts(objects: &Objects<'_>, id: Id) -> Result<Vec<usize>, String> {
    match &objects[id] {
        Object::Tuple(items) if items.len() <= Shape::MAX_DIMS => {
            items.iter().map(|&item| count(objects, item)).collect()
        }
        Object::Tuple(items) => {
            Err(format!("a tensor of {} dimensions, at most {} are possible", items.len(), Shape::MAX_DIMS))
        }
        other => Err(format!("{} where the sizes or strides of a tensor stand", other.kind())),
    }
}

/// Reads tensors; each storage and each view once, however many names it has. A storage stays in memory
/// until the last of its views is read, so a file of half a gigabyte does not lie there twice.
pub(super) struct Tensors<'a, R> {
    archive: &'a mut Archive<R>,
    budget: &'a mut Budget,
    /// By storage: how many views of it are still to be read.
    unread: HashMap<&'a str, usize>,
    storages: HashMap<String, Vec<u8>>,
    views: BTreeMap<View<'a>, Tensor>,
}

impl<'a, R: Read + Seek> Tensors<'a, R> {
    /// Of an archive whose `all` views will be read, each once.
    pub fn new(archive: &'a mut Archive<R>, budget: &'a mut Budget, all: &[&View<'a>]) -> Tensors<'a, R> {
        let mut unread = HashMap::new();
        all.iter().for_each(|view| *unread.entry(view.storage.key).or_insert(0) += 1);
        Tensors { archive, budget, unread, storages: HashMap::new(), views: BTreeMap::new() }
    }

    pub fn read(&mut self, view: &View<'a>) -> Result<Tensor, String> {
        let key = view.storage.key;
        let last = self.unread.get_mut(key).is_none_or(|views| {
            *views = views.saturating_sub(1);
            *views == 0
        });
        let read = self.read_view(view);
        if last {
            self.storages.remove(key);
        }
        read
    }

    fn read_view(&mut self, view: &View<'a>) -> Result<Tensor, String> {
        if let Some(tensor) = self.views.get(view) {
            // Their buffer is shared until somebody writes to one of them.
            return Ok(tensor.detach());
        }
        let Storage { dtype, key, len } = view.storage;
        let shape = Shape::from(&view.size[..]);
        let numel = shape.numel().map_err(|e| e.to_string())?;
        let last = if numel == 0 { Some(0) } else { view.last() };
        if numel > 0 && last.is_none_or(|last| last >= len) {
            let View { offset, stride, .. } = view;
            return Err(format!(
                "{shape} from element {offset} with strides {stride:?} leaves its storage of {len} elements"
            ));
        }
        let width = dtype.bitsize() / 8;
        self.budget.spend(numel.saturating_mul(width))?;
        if !self.storages.contains_key(key) {
            self.storages.insert(key.to_string(), self.archive.storage(key)?);
        }
        let storage = &self.storages[key];
        if len.checked_mul(width) != Some(storage.len()) {
            let bytes = storage.len();
            return Err(format!("its storage {key:?} of {len} elements of type {dtype} has {bytes} bytes"));
        }
        let tensor = match numel > 0 && view.is_dense() {
            true => elements::tensor(dtype, &storage[view.offset * width..][..numel * width], shape)?,
            false => elements::tensor(dtype, &view.gather(storage, numel), shape)?,
        };
        self.views.insert(view.clone(), tensor.clone());
        Ok(tensor)
    }
}
