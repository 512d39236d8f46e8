//! The types that voxels are stored in.

use std::fmt;

/// The type of a voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementType {
    /// i8.
    Char,
    /// u8.
    UChar,
    /// i16, which CT scans have.
    Short,
    /// u16.
    UShort,
    /// i32; files call it MET_LONG too.
    Int,
    /// u32; files call it MET_ULONG too.
    UInt,
    /// i64.
    LongLong,
    /// u64.
    ULongLong,
    /// f32.
    Float,
    /// f64.
    Double,
}

use ElementType::*;

/// The name in a header, the type and its bytes.
const TYPES: [(&str, ElementType, usize); 12] = [
    ("MET_CHAR", Char, 1),
    ("MET_UCHAR", UChar, 1),
    ("MET_SHORT", Short, 2),
    ("MET_USHORT", UShort, 2),
    ("MET_INT", Int, 4),
    ("MET_UINT", UInt, 4),
    ("MET_LONG_LONG", LongLong, 8),
    ("MET_ULONG_LONG", ULongLong, 8),
    ("MET_FLOAT", Float, 4),
    ("MET_DOUBLE", Double, 8),
    // ITK reads these with 4 bytes on every machine.
    ("MET_LONG", Int, 4),
    ("MET_ULONG", UInt, 4),
];

impl ElementType {
    /// The type with this name in a header; the error lists the names there are.
    pub fn from_name(name: &str) -> Result<ElementType, String> {
        let found = TYPES.iter().find(|(known, _, _)| *known == name);
        found.map(|&(_, element, _)| element).ok_or_else(|| {
            let names: Vec<&str> = TYPES.iter().map(|(name, _, _)| *name).collect();
            format!("should be one of {}", names.join(", "))
        })
    }

    /// The bytes of one voxel.
    pub fn bytes(self) -> usize {
        TYPES.iter().find(|(_, element, _)| *element == self).map_or(1, |&(_, _, bytes)| bytes)
    }

    /// Voxels, stored with their lowest byte first, as f32; those beyond its 24 binary digits are rounded.
    pub(super) fn to_f32(self, data: &[u8]) -> Vec<f32> {
        match self {
            Char => decode(data, |b| f32::from(i8::from_le_bytes(b))),
            UChar => decode(data, |b| f32::from(u8::from_le_bytes(b))),
            Short => decode(data, |b| f32::from(i16::from_le_bytes(b))),
            UShort => decode(data, |b| f32::from(u16::from_le_bytes(b))),
            Int => decode(data, |b| i32::from_le_bytes(b) as f32),
            UInt => decode(data, |b| u32::from_le_bytes(b) as f32),
            LongLong => decode(data, |b| i64::from_le_bytes(b) as f32),
            ULongLong => decode(data, |b| u64::from_le_bytes(b) as f32),
            Float => decode(data, f32::from_le_bytes),
            Double => decode(data, |b| f64::from_le_bytes(b) as f32),
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = TYPES.iter().find(|(_, element, _)| element == self).map_or("", |(name, _, _)| name);
        f.write_str(name)
    }
}

fn decode<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks().0.iter().map(|&bytes| value(bytes)).collect()
}
