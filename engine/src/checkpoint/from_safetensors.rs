//! Reading a safetensors file that may be damaged or made to do damage.

use std::collections::HashSet;
use std::fmt;

use safetensors::SafeTensors;
use safetensors::tensor::TensorInfo;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::{Checkpoint, Entry, METADATA, elements};

/// What a safetensors file holds, in its order, or what is wrong with it: nothing in it can cause a
/// panic or an allocation much larger than the file.
pub(super) fn read(bytes: &[u8]) -> Result<Checkpoint, String> {
    let not_safetensors =
        |e: &dyn fmt::Display| format!("neither a safetensors file nor one of PyTorch: {e}");
    if let Some((length, rest)) = length_and_rest(bytes) {
        match rest.split_at_checked(length) {
            Some((header, data)) => {
                let beyond = serde_json::Deserializer::from_slice(header)
                    .deserialize_map(HeaderCheck { data: data.len() })
                    .map_err(|e| not_safetensors(&e))?;
                if let Some((name, end)) = beyond {
                    let data = data.len();
                    return Err(format!(
                        "a safetensors file that is cut short: tensor {name:?} ends at byte {end} of {data} \
                         bytes of data"
                    ));
                }
            }
            None if rest.starts_with(b"{") => {
                return Err(format!(
                    "a safetensors file that is cut short: {} of the {length} bytes of its header are there",
                    rest.len()
                ));
            }
            None => {}
        }
    }
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| not_safetensors(&e))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| not_safetensors(&e))?;
    let mut entries = Vec::new();
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(|e| not_safetensors(&e))?;
        let tensor = elements::tensor(view.dtype(), view.data(), view.shape().into())
            .map_err(|e| format!("tensor {name:?}: {e}"))?;
        entries.push(Entry { name, stored_as: view.dtype().to_string(), tensor });
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok(Checkpoint { format: "safetensors", entries, metadata })
}

/// The length of the header, and all that comes after it.
fn length_and_rest(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    Some((usize::try_from(u64::from_le_bytes(*length)).ok()?, rest))
}

/// Looks through the header for what the format's own reader lets pass: a name that comes twice,
/// of which it would hide one, and offsets so far behind the end that its sums could overflow.
struct HeaderCheck {
    data: usize,
}

impl<'de> Visitor<'de> for HeaderCheck {
    /// The first tensor that ends beyond the data, and where.
    type Value = Option<(String, usize)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a key per tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut seen, mut beyond) = (HashSet::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
            } else {
                let end = map.next_value::<TensorInfo>()?.data_offsets.1;
                if end > self.data {
                    beyond.get_or_insert_with(|| (name.clone(), end));
                }
            }
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format!("the name {name:?} comes twice")));
            }
        }
        Ok(beyond)
    }
}
