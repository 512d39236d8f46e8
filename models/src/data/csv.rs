//! Tables of text: a row on each line, commas between its cells.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, ReaderBuilder, Terminator};
use flate2::read::MultiGzDecoder;

use crate::{Error, Result};

/// No row of a table takes more bytes: a small packed file can hold a very long one.
const LONGEST: usize = 1 << 20;

/// The rows of a table, one after the other. Empty lines are none, Windows' line ends are as good as any,
/// and a cell in quotes may hold commas.
pub(crate) struct Rows {
    path: PathBuf,
    reader: csv::Reader<Limited>,
}

/// A row of a table.
pub(crate) struct Row {
    path: PathBuf,
    line: u64,
    /// Without the blanks around them.
    pub cells: Vec<String>,
}

impl Rows {
    /// Opens a table, plain or packed with gzip.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn open(path: &Path) -> Result<Rows> {
        let mut file = BufReader::new(File::open(path).map_err(Error::io(path))?);
        let packed = file.fill_buf().map_err(Error::io(path))?.starts_with(&[0x1f, 0x8b]);
        let text: Box<dyn Read> = if packed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        // Rows end with a line, the last one too: the number of a row's line is then that of the lines read.
        let text = Limited { text: Box::new(text.chain(&b"\n"[..])), left: LONGEST, ended: false };
        let mut reader = ReaderBuilder::new();
        reader.has_headers(false).flexible(true).terminator(Terminator::Any(b'\n'));
        Ok(Rows { path: path.into(), reader: reader.from_reader(text) })
    }

    /// The next row; none after the last.
    ///
    /// # Errors
    /// With the line of what is no row.
    pub fn next(&mut self) -> Result<Option<Row>> {
        let mut record = ByteRecord::new();
        loop {
            self.reader.get_mut().left = LONGEST;
            let unreadable = |e: csv::Error| {
                let why = match e.into_kind() {
                    csv::ErrorKind::Io(e) => e.to_string(),
                    kind => format!("{kind:?}"),
                };
                Error::file(&self.path, format!("is no table that can be read: {why}"))
            };
            if !self.reader.read_byte_record(&mut record).map_err(unreadable)? {
                return Ok(None);
            }
            // A cell over several lines: no table here has any.
            let lines = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
            // A quote that is open takes the end of the text for its own.
            let end = u64::from(!self.reader.get_ref().ended);
            let line = self.reader.position().line().saturating_sub(lines + end);
            let mut row = Row { path: self.path.clone(), line, cells: Vec::with_capacity(record.len()) };
            if lines > 0 {
                return Err(row.wrong("a quote is not closed"));
            }
            for cell in &record {
                let text = std::str::from_utf8(cell).map_err(|_| row.wrong("it is not text"))?;
                row.cells.push(text.trim().to_string());
            }
            if row.cells != [""] {
                return Ok(Some(row));
            }
        }
    }
}

impl Row {
    /// The error of this row: its file, its line and what is wrong.
    pub fn wrong(&self, what: &str) -> Error {
        Error::file(&self.path, format!("line {}: {what}", self.line))
    }
}

/// A text of which only so many bytes more may be read.
struct Limited {
    text: Box<dyn Read>,
    left: usize,
    /// Whether it has been read beyond its end.
    ended: bool,
}

impl Read for Limited {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(self.left);
        if most == 0 && !bytes.is_empty() {
            return Err(io::Error::other("a line never ends"));
        }
        let read = self.text.read(&mut bytes[..most])?;
        self.left -= read;
        self.ended = read == 0;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The cells of each row, or what is wrong.
    fn rows(bytes: &[u8]) -> Result<Vec<Vec<String>>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let said = |e: Error| e.to_string().split_once(": ").unwrap().1.to_string();
        let (mut rows, mut all) = (Rows::open(file.path()).map_err(said)?, vec![]);
        while let Some(row) = rows.next().map_err(said)? {
            all.push([vec![row.line.to_string()], row.cells].concat());
        }
        Ok(all)
    }

    #[test]
    fn every_row_has_its_line_and_its_cells() {
        let expected = [vec!["1", "a", "b"], vec!["3", "1", ""], vec!["7", "x, y", "[4, \"2\"]", "z"]];
        let text = "a,b\n\n 1 ,\n\n  \n\n\"x, y\",\"[4, \"\"2\"\"]\",z";
        assert_eq!(rows(text.as_bytes()).unwrap(), expected);
        assert_eq!(rows(format!("{text}\n\n").as_bytes()).unwrap(), expected);
        assert_eq!(rows(text.replace('\n', "\r\n").as_bytes()).unwrap(), expected);
        assert_eq!(rows(format!("\u{feff}{text}").as_bytes()).unwrap(), expected);
        assert_eq!(rows(b"\r\n").unwrap(), [[""; 0]; 0]);
        assert_eq!(rows(b"").unwrap(), [[""; 0]; 0]);
        assert_eq!(rows(b",\n").unwrap(), [["1", "", ""]]);
    }

    #[test]
    fn packed_with_gzip_it_is_the_same_table() {
        let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        packed.write_all(b"a,b\n1,2\n").unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(rows(&packed).unwrap(), [["1", "a", "b"], ["2", "1", "2"]]);
        let cut = rows(&packed[..packed.len() - 9]).unwrap_err();
        assert!(cut.starts_with("is no table that can be read: "), "{cut}");
    }

    #[test]
    fn what_is_no_row_is_named() {
        assert_eq!(rows(b"a,b\n1,\"2\n3,4\n").unwrap_err(), "line 2: a quote is not closed");
        assert_eq!(rows(b"a,b\r\n\r\n\"1,2").unwrap_err(), "line 3: a quote is not closed");
        assert_eq!(rows(b"a,b\n\xff,1\n").unwrap_err(), "line 2: it is not text");
        let endless = "is no table that can be read: a line never ends";
        let long = "1".repeat(2 * LONGEST);
        assert!(rows(format!("a,b\n{long}").as_bytes()).is_err_and(|e| e == endless));
        let blank = format!("a,b\n\"{}", "\n".repeat(2 * LONGEST));
        assert!(rows(blank.as_bytes()).is_err_and(|e| e == endless));
        // Many short ones are no trouble.
        assert_eq!(rows("1,2\n".repeat(LONGEST / 2).as_bytes()).unwrap().len(), LONGEST / 2);
    }
}
