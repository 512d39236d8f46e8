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
    if let Some((header, data)) = split(bytes) {
        let check = HeaderCheck { data: data.len() };
        serde_json::Deserializer::from_slice(header)
            .deserialize_map(check)
            .map_err(|e| not_safetensors(&e))?;
    }
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| not_safetensors(&e))?;
    let file = SafeTensors::deserialize(bytes).map_err(|e| not_safetensors(&e))?;
    let mut entries = Vec::new();
    for name in header.offset_keys() {
        let view = file.tensor(&name).map_err(|e| not_safetensors(&e))?;
        let tensor = elements::tensor(view.dtype(), view.data(), view.shape().into())
            .map_err(|e| format!("tensor {name}: {e}"))?;
        entries.push(Entry { name, stored_as: view.dtype().to_string(), tensor });
    }
    let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
    Ok(Checkpoint { format: "safetensors", entries, metadata })
}

/// The header's JSON and the data after it, if the file is long enough to hold the header.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Looks through the header for what the format's own reader lets pass: a name that comes twice,
/// of which it would hide one, and offsets so far behind the end that its sums could overflow.
struct HeaderCheck {
    data: usize,
}

impl<'de> Visitor<'de> for HeaderCheck {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with a key per tensor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                map.next_value::<IgnoredAny>()?;
            } else {
                let end = map.next_value::<TensorInfo>()?.data_offsets.1;
                if end > self.data {
                    let data = self.data;
                    let message = format!("tensor {name} ends at byte {end} of {data} bytes of data");
                    return Err(A::Error::custom(message));
                }
            }
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format!("the name {name} comes twice")));
            }
        }
        Ok(())
    }
}
