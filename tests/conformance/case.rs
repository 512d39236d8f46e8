//! Reading a folder of reference cases: `index.json` and the safetensors files beside it.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use voxgrad_engine::{DType, Device, Tensor};

/// Anything that can be wrong with a case, in words.
pub type Failure = Box<dyn std::error::Error>;
pub type Result<T> = std::result::Result<T, Failure>;

/// An array as it is stored.
pub struct Stored {
    pub shape: Vec<usize>,
    pub data: Data,
}

pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I64(Vec<i64>),
}

impl Stored {
    pub fn is_integer(&self) -> bool {
        matches!(self.data, Data::I64(_))
    }

    pub fn values(&self) -> Vec<f64> {
        match &self.data {
            Data::F32(data) => data.iter().copied().map(f64::from).collect(),
            Data::F64(data) => data.clone(),
            Data::I64(data) => data.iter().map(|&i| i as f64).collect(),
        }
    }

    /// On a device. Integers become u32; a negative one (an ignored label) keeps its lower 32 bits,
    /// as an ignore_index does.
    pub fn tensor(&self, dtype: DType, device: &Device) -> Result<Tensor> {
        let shape = &self.shape[..];
        let floats = match &self.data {
            Data::I64(data) => {
                let data: Vec<u32> = data.iter().map(|&i| i as u32).collect();
                return Ok(Tensor::new(&data, shape, device)?);
            }
            Data::F32(data) => Tensor::new(data, shape, &Device::cpu())?,
            Data::F64(data) => Tensor::new(data, shape, &Device::cpu())?,
        };
        Ok(floats.to_dtype(dtype)?.to(device)?)
    }
}

/// The arrays of one safetensors file, by name.
pub type Arrays = HashMap<String, Stored>;

fn read_arrays(path: &Path) -> Result<Arrays> {
    let bytes = std::fs::read(path)?;
    let file = SafeTensors::deserialize(&bytes)?;
    let mut arrays = HashMap::new();
    for (name, view) in file.tensors() {
        let raw = view.data();
        let data = match view.dtype() {
            Dtype::F32 => Data::F32(raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            Dtype::F64 => Data::F64(raw.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect()),
            Dtype::I64 => Data::I64(raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()),
            other => return Err(format!("{name} is {other:?}: not f32, f64 or int64").into()),
        };
        arrays.insert(name, Stored { shape: view.shape().to_vec(), data });
    }
    Ok(arrays)
}

/// One case and the file its arrays are in.
pub struct Case {
    pub id: String,
    pub op: String,
    pub json: Map<String, Value>,
    arrays: Arc<Arrays>,
}

/// What a case may say about itself. Another key means another format, not one to guess at.
const KEYS: [&str; 20] = [
    "id",
    "op",
    "params",
    "file",
    "inputs",
    "views",
    "output",
    "more",
    "upstream",
    "grads",
    "f64",
    "f32_error",
    "parts",
    "steps",
    "all_params",
    "base_lr",
    "values",
    "momentum_values",
    "parameters",
    "losses",
];

/// All cases of a folder.
pub fn read_folder(folder: &Path) -> Result<Vec<Case>> {
    let in_folder = |name: &str| -> PathBuf { folder.join(name) };
    let text = std::fs::read_to_string(in_folder("index.json"))?;
    let index: Value = serde_json::from_str(&text)?;
    let listed = index["cases"].as_array().ok_or("index.json has no list of cases")?;
    if index["count"].as_u64() != Some(listed.len() as u64) {
        return Err(format!("index.json counts {} cases and lists {}", index["count"], listed.len()).into());
    }
    let mut files: HashMap<String, Arc<Arrays>> = HashMap::new();
    let mut cases = Vec::new();
    for json in listed {
        let json = json.as_object().ok_or("a case is not an object")?.clone();
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        let id = text("id").ok_or("a case has no id")?.to_string();
        let op = text("op").ok_or_else(|| format!("{id} has no op"))?.to_string();
        if let Some(key) = json.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(format!("{id} has the key {key:?}, which this runner does not know").into());
        }
        let arrays = match text("file") {
            None => Arc::default(),
            Some(name) => match files.get(name) {
                Some(arrays) => arrays.clone(),
                None => {
                    let arrays = Arc::new(read_arrays(&in_folder(name)).map_err(|e| format!("{name}: {e}"))?);
                    files.insert(name.to_string(), arrays.clone());
                    arrays
                }
            },
        };
        cases.push(Case { id, op, json, arrays });
    }
    Ok(cases)
}

impl Case {
    /// The array `<id>.<part>`, if it is stored.
    pub fn stored(&self, part: &str) -> Option<&Stored> {
        self.arrays.get(&format!("{}.{part}", self.id))
    }

    /// The array `<id>.<part>`, or one of that whole name (the optimisers' common problem).
    pub fn part(&self, part: &str) -> Result<&Stored> {
        let found = self.stored(part).or_else(|| self.arrays.get(part));
        found.ok_or_else(|| format!("the array {part} is missing").into())
    }

    /// The strings in the list `key`; none when the case doesn't have it.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let list = self.json.get(key).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// `[largest error, largest value]` of PyTorch's own run in f32.
    pub fn f32_error(&self, part: &str) -> Option<(f64, f64)> {
        let pair = self.json.get("f32_error")?.get(part)?;
        Some((pair.get(0)?.as_f64()?, pair.get(1)?.as_f64()?))
    }

    pub fn params(&self) -> Params {
        let values = self.json.get("params").and_then(Value::as_object).cloned().unwrap_or_default();
        Params { values, read: RefCell::default() }
    }
}

/// The settings of a case, which remembers those that were asked for.
pub struct Params {
    values: Map<String, Value>,
    read: RefCell<BTreeSet<String>>,
}

/// Remarks to the reader; they set nothing.
const REMARKS: [&str; 2] = ["note", "ties"];

impl Params {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.read.borrow_mut().insert(key.to_string());
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn parsed<T>(&self, key: &str, parse: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(value) => match parse(value) {
                Some(parsed) => Ok(Some(parsed)),
                None => Err(format!("the parameter {key} cannot be {value}").into()),
            },
        }
    }

    fn required<T>(&self, key: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| format!("the parameter {key} is missing").into())
    }

    pub fn number_if_any(&self, key: &str) -> Result<Option<f64>> {
        self.parsed(key, Value::as_f64)
    }

    pub fn number(&self, key: &str) -> Result<f64> {
        self.required(key, self.number_if_any(key)?)
    }

    pub fn number_or(&self, key: &str, default: f64) -> Result<f64> {
        Ok(self.number_if_any(key)?.unwrap_or(default))
    }

    pub fn integer_if_any(&self, key: &str) -> Result<Option<i64>> {
        self.parsed(key, Value::as_i64)
    }

    pub fn integer(&self, key: &str) -> Result<i64> {
        self.required(key, self.integer_if_any(key)?)
    }

    pub fn count(&self, key: &str) -> Result<usize> {
        self.required(key, self.parsed(key, as_count)?)
    }

    pub fn flag_or(&self, key: &str, default: bool) -> Result<bool> {
        Ok(self.parsed(key, Value::as_bool)?.unwrap_or(default))
    }

    pub fn text_or(&self, key: &str, default: &str) -> Result<String> {
        Ok(self.parsed(key, |v| v.as_str().map(String::from))?.unwrap_or(default.into()))
    }

    /// One number or a list of them: dimensions. None when it is null or absent.
    pub fn dims(&self, key: &str) -> Result<Vec<isize>> {
        let one = |value: &Value| value.as_i64().map(|d| d as isize);
        let parse = |value: &Value| match value.as_array() {
            Some(list) => list.iter().map(one).collect(),
            None => one(value).map(|d| vec![d]),
        };
        Ok(self.parsed(key, parse)?.unwrap_or_default())
    }

    pub fn sizes(&self, key: &str) -> Result<Vec<usize>> {
        let parse = |value: &Value| value.as_array()?.iter().map(as_count).collect();
        self.required(key, self.parsed(key, parse)?)
    }

    /// One number for all dimensions or one each.
    pub fn per_dim<const N: usize>(&self, key: &str, default: [usize; N]) -> Result<[usize; N]> {
        let parse = |value: &Value| match value.as_array() {
            Some(list) => list.iter().map(as_count).collect::<Option<Vec<_>>>()?.try_into().ok(),
            None => as_count(value).map(|n| [n; N]),
        };
        Ok(self.parsed(key, parse)?.unwrap_or(default))
    }

    /// A setting that this engine has only one way of: any other value is an error.
    pub fn only(&self, key: &str, allowed: &Value) -> Result<()> {
        match self.get(key) {
            Some(value) if value != allowed && value.as_f64() != allowed.as_f64().or(Some(f64::NAN)) => {
                Err(format!("the parameter {key} is {value}, only {allowed} is known").into())
            }
            _ => Ok(()),
        }
    }

    /// Fails when a parameter was never asked for: the case means something this runner does not do.
    pub fn all_read(&self) -> Result<()> {
        let read = self.read.borrow();
        let unread =
            self.values.keys().filter(|key| !read.contains(*key) && !REMARKS.contains(&key.as_str()));
        match unread.cloned().collect::<Vec<_>>() {
            unknown if unknown.is_empty() => Ok(()),
            unknown => Err(format!("unknown parameters: {}", unknown.join(", ")).into()),
        }
    }
}

fn as_count(value: &Value) -> Option<usize> {
    value.as_u64().map(|n| n as usize)
}
