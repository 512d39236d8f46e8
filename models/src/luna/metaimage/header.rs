//! The text in front of the voxels: lines of `Key = Value`, the last of which is `ElementDataFile`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::{ElementType, Store};
use crate::luna::geometry::{Geometry, IDENTITY};
use crate::{Error, Result};

/// A header that is longer is none.
const LONGEST: u64 = 1 << 20;

/// What a header says.
#[derive(Debug, Clone)]
pub struct Header {
    /// The file that the header was read from.
    pub path: PathBuf,
    /// Slices, rows and columns.
    pub size: [usize; 3],
    /// Where they lie.
    pub geometry: Geometry,
    /// What they are stored in.
    pub element: ElementType,
    /// Whether a voxel's highest byte comes first.
    pub msb_first: bool,
    /// How the voxels are stored.
    pub store: Store,
    /// The stored bytes, where the header says how many there are.
    pub stored: Option<u64>,
    /// The file that holds the voxels.
    pub data_file: PathBuf,
    /// Where the voxels begin in it; none: they are its end.
    pub data_start: Option<u64>,
}

impl Header {
    /// Reads the header of a `.mhd` or `.mha` file, and none of the voxels.
    ///
    /// # Errors
    /// A file that can't be read or is no header; a field that is missing, stands there twice with two
    /// values, can't be read or asks for something that is not supported, with its line.
    pub fn read(path: &Path) -> Result<Header> {
        let (fields, end) = Fields::read(path)?;
        fields.header(path, end).map_err(|message| Error::file(path, message))
    }

    /// The bytes of all voxels, before compression.
    pub fn bytes(&self) -> usize {
        self.size.iter().product::<usize>() * self.element.bytes()
    }
}

/// One line.
struct Field {
    line: usize,
    key: String,
    value: String,
}

/// The lines of a header.
struct Fields(Vec<Field>);

impl Fields {
    /// The lines up to `ElementDataFile`, and the byte after it.
    fn read(path: &Path) -> Result<(Fields, u64)> {
        let file = File::open(path).map_err(Error::io(path))?;
        let mut reader = BufReader::new(file).take(LONGEST);
        let (mut fields, mut end) = (vec![], 0);
        let mut text = vec![];
        for line in 1.. {
            text.clear();
            end += reader.read_until(b'\n', &mut text).map_err(Error::io(path))? as u64;
            if text.is_empty() {
                let message = "the header ends without ElementDataFile, its last line; is this a MetaImage?";
                return Err(Error::file(path, message.into()));
            }
            let words = str::from_utf8(&text).ok().map(str::trim).unwrap_or("\u{fffd}");
            if words.is_empty() {
                continue;
            }
            let Some((key, value)) = words.split_once(['=', ':']) else {
                let found = shown(&String::from_utf8_lossy(&text));
                let message = format!("line {line} should read Key = Value: {found}");
                return Err(Error::file(path, message));
            };
            let (key, value) = (key.trim().to_string(), value.trim().to_string());
            let last = key == "ElementDataFile";
            fields.push(Field { line, key, value });
            if last {
                break;
            }
        }
        Ok((Fields(fields), end))
    }

    fn header(&self, path: &Path, end: u64) -> Result<Header, String> {
        self.refuse("ObjectType", "Image", "only images can be read")?;
        self.refuse("NDims", "3", "only volumes of three dimensions can be read")?;
        self.refuse("ElementNumberOfChannels", "1", "only one number per voxel can be read")?;
        if let Some(field) = self.get(&["BinaryData"])?
            && !field.flag()?
        {
            return Err(field.wrong("should be True: voxels written as text can't be read"));
        }

        let dims = self.needed("DimSize")?;
        let [columns, rows, slices] = dims.numbers::<usize, 3>("three whole numbers")?;
        let size = [slices, rows, columns];
        let name = self.needed("ElementType")?;
        let element = ElementType::from_name(&name.value).map_err(|message| name.wrong(&message))?;
        let bytes = size.iter().try_fold(element.bytes(), |bytes, &n| bytes.checked_mul(n));
        if bytes.is_none_or(|bytes| bytes == 0 || bytes > isize::MAX as usize) {
            return Err(dims.wrong("should be three numbers above 0 whose voxels fit into the memory"));
        }

        let spacing = match self.get(&["ElementSpacing"])? {
            None => self.get(&["ElementSize"])?,
            spacing => spacing,
        };
        let spacing = spacing.map_or(Ok([1.0; 3]), |field| field.numbers("three numbers"))?;
        let origin = self.get(&["Offset", "Position", "Origin"])?;
        let origin = origin.map_or(Ok([0.0; 3]), |field| field.numbers("three numbers"))?;
        let direction = match self.get(&["TransformMatrix", "Rotation", "Orientation"])? {
            None => IDENTITY,
            Some(field) => {
                // One axis after the other: the columns of the matrix.
                let m = field.numbers::<f64, 9>("nine numbers")?;
                [[m[0], m[3], m[6]], [m[1], m[4], m[7]], [m[2], m[5], m[8]]]
            }
        };
        let geometry = Geometry::new(origin, spacing, direction)?;

        let (store, stored) = match self.get(&["CompressedData"])?.map_or(Ok(false), Field::flag)? {
            false => (Store::Raw, bytes.map(|bytes| bytes as u64)),
            true => {
                let size = self.get(&["CompressedDataSize"])?;
                (Store::Compressed, size.map(|field| field.number("a whole number")).transpose()?)
            }
        };
        let msb_first = self.get(&["BinaryDataByteOrderMSB", "ElementByteOrderMSB"])?;
        let msb_first = msb_first.map_or(Ok(false), Field::flag)?;
        let (data_file, data_start) = self.data(path, end, store)?;
        let path = path.into();
        Ok(Header { path, size, geometry, element, msb_first, store, stored, data_file, data_start })
    }

    /// The file with the voxels, and where they begin.
    fn data(&self, path: &Path, end: u64, store: Store) -> Result<(PathBuf, Option<u64>), String> {
        let skipped = match self.get(&["HeaderSize"])? {
            None => Some(0),
            Some(field) => match field.number::<i64>("a whole number")? {
                -1 if store == Store::Compressed => {
                    return Err(field.wrong("asks for the end of the file, where no compressed data begins"));
                }
                -1 => None,
                bytes => Some(u64::try_from(bytes).map_err(|_| field.wrong("should be -1, 0 or more"))?),
            },
        };
        let field = self.needed("ElementDataFile")?;
        let name = field.value.as_str();
        if name.eq_ignore_ascii_case("local") {
            // HeaderSize counts from the beginning of the file; 0 says nothing.
            let start = skipped.map(|bytes| if bytes == 0 { end } else { bytes });
            return Ok((path.into(), start));
        }
        if name.is_empty() {
            return Err(field.wrong("should name the file with the voxels, or be LOCAL"));
        }
        if name.split_whitespace().next() == Some("LIST") || name.contains('%') {
            return Err(field.wrong(
                "asks for one file per slice, which is not supported; write the scan with its voxels in one file",
            ));
        }
        Ok((path.parent().unwrap_or(Path::new("")).join(name), skipped))
    }

    /// The field with one of these names, which mean the same.
    fn get(&self, keys: &[&str]) -> Result<Option<&Field>, String> {
        let mut found: Option<&Field> = None;
        for field in self.0.iter().filter(|field| keys.contains(&field.key.as_str())) {
            match found {
                Some(first) if first.value != field.value => {
                    return Err(field.wrong(&format!("contradicts line {}, {}", first.line, first.shown())));
                }
                Some(_) => {}
                None => found = Some(field),
            }
        }
        Ok(found)
    }

    fn needed(&self, key: &str) -> Result<&Field, String> {
        self.get(&[key])?.ok_or_else(|| format!("the header has no {key}"))
    }

    /// Refuses a field that says anything but `value`. One that is missing is taken to say that.
    fn refuse(&self, key: &str, value: &str, why: &str) -> Result<(), String> {
        match self.get(&[key])? {
            Some(field) if field.value != value => Err(field.wrong(&format!("should be {value}: {why}"))),
            _ => Ok(()),
        }
    }
}

impl Field {
    fn shown(&self) -> String {
        format!("{} = {}", self.key, shown(&self.value))
    }

    fn wrong(&self, message: &str) -> String {
        format!("line {}: {} {message}", self.line, self.shown())
    }

    fn flag(&self) -> Result<bool, String> {
        match self.value.to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(self.wrong("should be True or False")),
        }
    }

    fn number<T: FromStr + Copy>(&self, expected: &str) -> Result<T, String> {
        self.numbers::<T, 1>(expected).map(|[number]| number)
    }

    fn numbers<T: FromStr + Copy, const N: usize>(&self, expected: &str) -> Result<[T; N], String> {
        let numbers: Result<Vec<T>, _> = self.value.split_whitespace().map(str::parse).collect();
        let numbers = numbers.ok().and_then(|numbers| <[T; N]>::try_from(numbers).ok());
        numbers.ok_or_else(|| self.wrong(&format!("should be {expected}")))
    }
}

/// The beginning of a file's words, without what a terminal would take for a command.
fn shown(text: &str) -> String {
    const MOST: usize = 80;
    let start: String = text.chars().take(MOST).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}
