//! What a pickle's program works on.

use std::ops::{Index, IndexMut};

use super::globals::Global;
use super::tensors::{Storage, View};

/// Where an object lies among all [`Objects`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(u32);

/// A Python value of the few kinds that a state dict is made of. Text is that of the pickle itself.
#[derive(Debug)]
pub(super) enum Object<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// In the order of insertion; a key may come twice.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    Storage(Box<Storage<'a>>),
    Tensor(Box<View<'a>>),
}

impl Object<'_> {
    /// What it is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Object::None => "None",
            Object::Bool(_) => "a bool",
            Object::Int(_) => "a whole number",
            Object::Float(_) => "a float",
            Object::Text(_) => "a text",
            Object::Tuple(_) => "a tuple",
            Object::List(_) => "a list",
            Object::Dict(_) => "a dict",
            Object::Global(_) => "a function or class",
            Object::Storage(_) => "a storage",
            Object::Tensor(_) => "a tensor",
        }
    }
}

/// All objects of a pickle. They name each other by [`Id`], so a list may hold itself, and a chain of a
/// million tuples is dropped without a million nested calls.
#[derive(Debug, Default)]
pub(super) struct Objects<'a>(Vec<Object<'a>>);

impl<'a> Objects<'a> {
    /// Adds an object. A pickle makes at most one per byte and is far shorter than 2^32 bytes.
    pub fn add(&mut self, object: Object<'a>) -> Id {
        self.0.push(object);
        Id((self.0.len() - 1) as u32)
    }
}

impl<'a> Index<Id> for Objects<'a> {
    type Output = Object<'a>;
    fn index(&self, id: Id) -> &Object<'a> {
        &self.0[id.0 as usize]
    }
}

impl<'a> IndexMut<Id> for Objects<'a> {
    fn index_mut(&mut self, id: Id) -> &mut Object<'a> {
        &mut self.0[id.0 as usize]
    }
}
