//! The machine that a pickle's program runs on: a stack, a memory, and objects that know no code.

use std::collections::HashMap;

use super::globals::Global;
use super::objects::{Id, Object, Objects};
use super::opcodes::{self as op, refused};
use super::program::Program;
use super::tensors::{Storage, View};

/// Runs the program and returns its objects with the one it ends on. Texts are those of the pickle.
///
/// # Errors
/// For the first instruction that a state dict does not need, that asks for another function or class
/// than those of [`Global`], or that does not fit what lies on the stack; with its byte.
pub(super) fn unpickle(pickle: &[u8]) -> Result<(Objects<'_>, Id), String> {
    let mut machine = Machine::new(pickle);
    loop {
        let at = machine.program.at();
        match machine.step() {
            Ok(None) => {}
            Ok(Some(result)) => return Ok((machine.objects, result)),
            Err(e) => return Err(format!("data.pkl, byte {at}: {e}")),
        }
    }
}

type Result<T, E = String> = std::result::Result<T, E>;

struct Machine<'a> {
    program: Program<'a>,
    objects: Objects<'a>,
    stack: Vec<Id>,
    /// How high the stack was at each mark.
    marks: Vec<usize>,
    memory: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn new(pickle: &'a [u8]) -> Machine<'a> {
        let (objects, stack, marks, memory) = Default::default();
        Machine { program: Program::new(pickle), objects, stack, marks, memory }
    }

    /// Follows one instruction. The last one gives the result.
    fn step(&mut self) -> Result<Option<Id>> {
        match self.program.byte()? {
            op::PROTO => match self.program.byte()? {
                2..=5 => {}
                version => return Err(format!("pickle protocol {version}, read are 2 to 5")),
            },
            op::FRAME => {
                let length = u64::from_le_bytes(self.program.array()?);
                if length > self.program.left() as u64 {
                    return Err(format!("a frame of {length} bytes, {} are left", self.program.left()));
                }
            }
            op::STOP => return self.result().map(Some),

            op::NONE => self.push(Object::None),
            op::NEWTRUE => self.push(Object::Bool(true)),
            op::NEWFALSE => self.push(Object::Bool(false)),
            op::BININT1 => {
                let n = self.program.byte()?;
                self.push(Object::Int(n.into()));
            }
            op::BININT2 => {
                let n = u16::from_le_bytes(self.program.array()?);
                self.push(Object::Int(n.into()));
            }
            op::BININT => {
                let n = i32::from_le_bytes(self.program.array()?);
                self.push(Object::Int(n.into()));
            }
            op::LONG1 => {
                let n = self.program.long()?;
                self.push(Object::Int(n));
            }
            op::BINFLOAT => {
                let x = f64::from_be_bytes(self.program.array()?);
                self.push(Object::Float(x));
            }
            op::SHORT_BINUNICODE => {
                let length = self.program.byte()?;
                let text = self.program.text(length.into())?;
                self.push(Object::Text(text));
            }
            op::BINUNICODE => {
                let length = u32::from_le_bytes(self.program.array()?);
                let text = self.program.text(length.into())?;
                self.push(Object::Text(text));
            }
            op::BINUNICODE8 => {
                let length = u64::from_le_bytes(self.program.array()?);
                let text = self.program.text(length)?;
                self.push(Object::Text(text));
            }

            op::MARK => self.marks.push(self.stack.len()),
            op::EMPTY_TUPLE => self.tuple(0)?,
            op::TUPLE1 => self.tuple(1)?,
            op::TUPLE2 => self.tuple(2)?,
            op::TUPLE3 => self.tuple(3)?,
            op::TUPLE => {
                let items = self.above_mark()?;
                self.push(Object::Tuple(items));
            }
            op::EMPTY_LIST => self.push(Object::List(Vec::new())),
            op::APPEND => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            op::APPENDS => {
                let items = self.above_mark()?;
                self.append(items)?;
            }
            op::EMPTY_DICT => self.push(Object::Dict(Vec::new())),
            op::SETITEM => {
                let items = self.pop_many(2)?;
                self.set_items(items)?;
            }
            op::SETITEMS => {
                let items = self.above_mark()?;
                self.set_items(items)?;
            }

            op::BINPUT => {
                let place = self.program.byte()?;
                self.remember(place.into())?;
            }
            op::LONG_BINPUT => {
                let place = u32::from_le_bytes(self.program.array()?);
                self.remember(place)?;
            }
            op::MEMOIZE => self.remember(self.memory.len() as u32)?,
            op::BINGET => {
                let place = self.program.byte()?;
                self.recall(place.into())?;
            }
            op::LONG_BINGET => {
                let place = u32::from_le_bytes(self.program.array()?);
                self.recall(place)?;
            }

            op::GLOBAL => {
                let (module, name) = (self.program.line()?, self.program.line()?);
                self.global(module, name)?;
            }
            op::STACK_GLOBAL => {
                let name = self.pop()?;
                let module = self.pop()?;
                match (&self.objects[module], &self.objects[name]) {
                    (&Object::Text(module), &Object::Text(name)) => self.global(module, name)?,
                    _ => return Err("the name of a function or class is no text".into()),
                }
            }
            op::REDUCE => self.call()?,
            op::BUILD => {
                // Attributes of the dict itself, such as the versions of the layers that filled it.
                let attributes = self.pop()?;
                let target = self.top()?;
                match (&self.objects[target], &self.objects[attributes]) {
                    (Object::Dict(_), Object::Dict(_)) => {}
                    (other, _) => return Err(format!("{} is given attributes", other.kind())),
                }
            }
            op::BINPERSID => {
                let id = self.pop()?;
                let storage = Storage::described(&self.objects, id)?;
                self.push(Object::Storage(Box::new(storage)));
            }
            other => {
                let name = refused(other).unwrap_or("which no version of Python has");
                return Err(format!("instruction {other:#04x}, {name}: no state dict needs it"));
            }
        }
        Ok(None)
    }

    fn result(&mut self) -> Result<Id> {
        let result = self.pop()?;
        match (self.stack.len(), self.program.left()) {
            (0, 0) => Ok(result),
            (0, rest) => Err(format!("{rest} bytes come after the end")),
            (left, _) => Err(format!("{left} objects are left over at the end")),
        }
    }

    /// Calls one of the few functions there are.
    fn call(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return Err(format!("a call with {}, not a tuple", self.objects[arguments].kind()));
        };
        let result = match self.objects[function] {
            Object::Global(Global::OrderedDict) if arguments.is_empty() => Object::Dict(Vec::new()),
            Object::Global(Global::RebuildTensor) => {
                Object::Tensor(Box::new(View::rebuilt(&self.objects, arguments)?))
            }
            Object::Global(Global::RebuildParameter) => match arguments[..] {
                [data, _requires_grad, _hooks] if matches!(self.objects[data], Object::Tensor(_)) => {
                    self.stack.push(data);
                    return Ok(());
                }
                _ => return Err("a parameter is a tensor, whether it learns, and its hooks".into()),
            },
            Object::Global(global) => {
                return Err(format!("{global:?} is called with {} arguments", arguments.len()));
            }
            ref other => return Err(format!("{} is called", other.kind())),
        };
        self.push(result);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<()> {
        let Some(global) = Global::named(module, name) else {
            let asked = format!("it asks for {:?}", format!("{module}.{name}"));
            // Every pickled layer carries these two names, and no state dict does.
            return Err(match ["_parameters", "_modules"].iter().all(|name| self.program.mentions(name)) {
                true => format!(
                    "{asked}: this is a whole pickled model, not a state dict. To read it would be to run \
                     its code; in Python, torch.save(model.state_dict(), FILE) writes what can be read here"
                ),
                false => format!("{asked}, which no state dict needs. Nothing was run"),
            });
        };
        self.push(Object::Global(global));
        Ok(())
    }

    fn push(&mut self, object: Object<'a>) {
        let id = self.objects.add(object);
        self.stack.push(id);
    }

    /// The lowest place that may be taken from the stack.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        self.stack[self.floor()..].last().copied().ok_or_else(|| "the stack is empty".into())
    }

    fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_many(&mut self, n: usize) -> Result<Vec<Id>> {
        match self.stack.len() - self.floor() {
            there if there < n => Err(format!("{n} objects are taken from a stack of {there}")),
            _ => Ok(self.stack.split_off(self.stack.len() - n)),
        }
    }

    fn above_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or("there is no mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, n: usize) -> Result<()> {
        let items = self.pop_many(n)?;
        self.push(Object::Tuple(items));
        Ok(())
    }

    fn append(&mut self, items: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        match &mut self.objects[target] {
            Object::List(list) => list.extend(items),
            other => return Err(format!("{} is no list to append to", other.kind())),
        }
        Ok(())
    }

    fn set_items(&mut self, items: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        let Object::Dict(dict) = &mut self.objects[target] else {
            return Err(format!("{} is no dict to set items of", self.objects[target].kind()));
        };
        let (pairs, []) = items.as_chunks() else { return Err("a key has no value".into()) };
        dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    fn remember(&mut self, place: u32) -> Result<()> {
        let top = self.top()?;
        self.memory.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<()> {
        let id = *self.memory.get(&place).ok_or_else(|| format!("nothing is remembered under {place}"))?;
        self.stack.push(id);
        Ok(())
    }
}
