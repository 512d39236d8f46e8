//! From the dict that a pickle ends on to named tensors and the words beside them.

use std::collections::{BTreeMap, HashSet};

use super::Budget;
use super::objects::{Id, Object, Objects};
use super::tensors::View;

/// A training checkpoint is a dict of state dicts; an optimizer's has lists in dicts in it.
const DEEPEST: usize = 16;
/// What an entry takes up beside its text and elements, about.
const ENTRY: usize = 64;

/// The tensors in `root`, named by the keys that lead to them with dots between, and all numbers and
/// texts there as text.
#[expect(clippy::type_complexity, reason = "a list of names with views, and the metadata")]
pub(super) fn list<'o, 'a>(
    objects: &'o Objects<'a>,
    root: Id,
    budget: &mut Budget,
) -> Result<(Vec<(String, &'o View<'a>)>, BTreeMap<String, String>), String> {
    let Object::Dict(_) = &objects[root] else {
        return Err(format!("it holds {}, not a state dict", objects[root].kind()));
    };
    let (tensors, metadata, names) = Default::default();
    let mut lister = Lister { objects, budget, names, tensors, metadata };
    lister.list(root, "", 0)?;
    Ok((lister.tensors, lister.metadata))
}

struct Lister<'l, 'o, 'a> {
    objects: &'o Objects<'a>,
    budget: &'l mut Budget,
    names: HashSet<String>,
    tensors: Vec<(String, &'o View<'a>)>,
    metadata: BTreeMap<String, String>,
}

impl<'o> Lister<'_, 'o, '_> {
    /// Adds what `id` is or holds under `name`.
    fn list(&mut self, id: Id, name: &str, depth: usize) -> Result<(), String> {
        self.budget.spend(ENTRY + name.len())?;
        if depth > DEEPEST {
            return Err(format!("it is more than {DEEPEST} dicts or lists deep"));
        }
        let objects: &'o _ = self.objects;
        let text = match &objects[id] {
            Object::Dict(items) => {
                for &(key, value) in items {
                    let name = match objects[key] {
                        Object::Text(key) => self.below(name, key)?,
                        Object::Int(key) => self.below(name, &key.to_string())?,
                        ref other => return Err(format!("a key in {name:?} is {}", other.kind())),
                    };
                    self.list(value, &name, depth + 1)?;
                }
                return Ok(());
            }
            Object::List(items) | Object::Tuple(items) => {
                for (i, &item) in items.iter().enumerate() {
                    let name = self.below(name, &i.to_string())?;
                    self.list(item, &name, depth + 1)?;
                }
                return Ok(());
            }
            Object::Tensor(view) => {
                let name = self.new_name(name)?;
                self.tensors.push((name, view));
                return Ok(());
            }
            Object::None => "None".to_string(),
            Object::Bool(value) => value.to_string(),
            Object::Int(value) => value.to_string(),
            Object::Float(value) => value.to_string(),
            Object::Text(value) => {
                self.budget.spend(value.len())?;
                value.to_string()
            }
            other @ (Object::Global(_) | Object::Storage(_)) => {
                return Err(format!("{name:?} is {}", other.kind()));
            }
        };
        let name = self.new_name(name)?;
        self.metadata.insert(name, text);
        Ok(())
    }

    fn below(&mut self, name: &str, key: &str) -> Result<String, String> {
        self.budget.spend(key.len())?;
        Ok(if name.is_empty() { key.to_string() } else { format!("{name}.{key}") })
    }

    /// A name that has not come before: the later one would hide the earlier.
    fn new_name(&mut self, name: &str) -> Result<String, String> {
        match self.names.insert(name.to_string()) {
            true => Ok(name.to_string()),
            false => Err(format!("the name {name:?} comes twice")),
        }
    }
}
