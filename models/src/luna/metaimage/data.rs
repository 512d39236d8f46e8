//! The voxels of a header.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use flate2::{Decompress, FlushDecompress, Status};

use super::{Header, Store};
use crate::{Error, Result};

impl Header {
    /// Makes sure that the file of voxels is there and as long as the header says, as far as that can be
    /// told without reading it.
    ///
    /// # Errors
    /// A file that is missing, can't be read, or has another length, with both lengths.
    pub fn check_data(&self) -> Result<()> {
        self.open_data().map(|_| ())
    }

    /// The voxels, each with its lowest byte first.
    pub(super) fn read_data(&self) -> Result<Vec<u8>> {
        let (mut file, stored) = self.open_data()?;
        // The file is as long as that: it may be asked for at once.
        let mut data = vec![0; stored as usize];
        file.read_exact(&mut data).map_err(Error::io(&self.data_file))?;
        let mut data = match self.store {
            Store::Raw => data,
            Store::Compressed => self.unpack(&data)?,
        };
        let width = self.element.bytes();
        if self.msb_first && width > 1 {
            data.chunks_exact_mut(width).for_each(<[u8]>::reverse);
        }
        Ok(data)
    }

    /// The file, at the first byte of voxels, and how many bytes of voxels it holds.
    fn open_data(&self) -> Result<(File, u64)> {
        let path = &self.data_file;
        let of = |message: String| Error::file(path, message);
        let mut file = File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                of(format!("not found; {} names it as the file with its voxels", self.path.display()))
            }
            _ => Error::io(path)(error),
        })?;
        let metadata = file.metadata().map_err(Error::io(path))?;
        if !metadata.is_file() {
            return Err(of(format!("is no file; {} names it as that with its voxels", self.path.display())));
        }
        let length = metadata.len();
        let start = self.data_start.unwrap_or_else(|| length.saturating_sub(self.stored.unwrap_or(0)));
        let held = length.saturating_sub(start);
        if let Some(wanted) = self.stored.filter(|&wanted| wanted != held) {
            let [slices, rows, columns] = self.size;
            let from = if start > 0 { format!(" after its first {start}") } else { String::new() };
            let than = if held < wanted { "shorter" } else { "longer" };
            let asked = match self.store {
                Store::Raw => {
                    format!("{columns} x {rows} x {slices} voxels of {} take {wanted}", self.element)
                }
                Store::Compressed => format!("CompressedDataSize is {wanted}"),
            };
            let header = self.path.display();
            return Err(of(format!(
                "{than} than its header {header} says: it holds {held} bytes{from}, {asked}"
            )));
        }
        file.seek(SeekFrom::Start(start)).map_err(Error::io(path))?;
        Ok((file, held))
    }

    /// Unpacks a zlib stream (RFC 1950), no more of it than the header asks for: a small file can hold a
    /// very long one.
    fn unpack(&self, stored: &[u8]) -> Result<Vec<u8>> {
        let of = |message: String| Error::file(&self.data_file, message);
        let wanted = self.bytes();
        let mut stream = Decompress::new(true);
        let mut data: Vec<u8> = vec![];
        loop {
            // One byte more than wanted shows that there is more.
            let room = (wanted - data.len() + 1).min(data.len().max(1 << 20));
            data.reserve_exact(room);
            let rest = &stored[stream.total_in() as usize..];
            let status = stream.decompress_vec(rest, &mut data, FlushDecompress::None);
            let done = data.len();
            match status {
                Err(error) => {
                    let message = format!("breaks after {done} of {wanted} bytes of voxels: {error}");
                    return Err(of(format!("the zlib stream {message}")));
                }
                Ok(_) if done > wanted => {
                    return Err(of(format!(
                        "the zlib stream holds more than the {wanted} bytes of its header"
                    )));
                }
                Ok(Status::StreamEnd) if done < wanted => {
                    return Err(of(format!("the zlib stream holds {done} of {wanted} bytes of voxels")));
                }
                Ok(Status::StreamEnd) => break,
                Ok(_) if stream.total_in() == stored.len() as u64 && done < data.capacity() => {
                    return Err(of(format!(
                        "the zlib stream is cut short after {done} of {wanted} bytes of voxels"
                    )));
                }
                Ok(_) => {}
            }
        }
        match stored.len() as u64 - stream.total_in() {
            0 => Ok(data),
            rest => Err(of(format!("there are {rest} bytes behind the zlib stream of the voxels"))),
        }
    }
}
