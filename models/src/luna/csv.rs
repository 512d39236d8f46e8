//! Text tables with commas, and a first line that names the columns.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::{Error, Result};

/// A table, `N` columns of which are asked for.
pub(super) struct Csv<const N: usize> {
    path: PathBuf,
    lines: Box<dyn BufRead>,
    names: [&'static str; N],
    /// Where they stand in a line.
    columns: [usize; N],
    /// The columns of the first line.
    width: usize,
}

/// A line of a table.
pub(super) struct Row<'a, const N: usize> {
    names: &'a [&'static str; N],
    cells: [String; N],
}

impl<const N: usize> Csv<N> {
    /// Opens a table, plain or packed with gzip, and finds the columns called `names`.
    pub fn read(path: &Path, names: [&'static str; N]) -> Result<Csv<N>> {
        let mut file = BufReader::new(File::open(path).map_err(Error::io(path))?);
        let packed = file.fill_buf().map_err(Error::io(path))?.starts_with(&[0x1f, 0x8b]);
        let mut lines: Box<dyn BufRead> =
            if packed { Box::new(BufReader::new(MultiGzDecoder::new(file))) } else { Box::new(file) };

        let head = next_line(path, &mut lines)?.unwrap_or_default();
        let head = head.strip_prefix('\u{feff}').unwrap_or(&head); // as some programs begin a text
        let wrong = |message: String| Error::file(path, format!("line 1: {message}"));
        let head = cells(head).map_err(wrong)?;
        let mut columns = [0; N];
        for (column, name) in columns.iter_mut().zip(names) {
            *column = head.iter().position(|cell| cell == name).ok_or_else(|| {
                wrong(format!("there is no column {name}; the columns of this table are {names:?}"))
            })?;
        }
        Ok(Csv { path: path.into(), lines, names, columns, width: head.len() })
    }

    /// What `make` makes of each row. Empty lines are none.
    pub fn rows<T>(mut self, make: impl Fn(&Row<N>) -> Result<T, String>) -> Result<Vec<T>> {
        let mut rows = vec![];
        for line in 2.. {
            let Some(text) = next_line(&self.path, &mut self.lines)? else { break };
            if text.is_empty() {
                continue;
            }
            let row = self.row(&text).and_then(|row| make(&row));
            rows.push(row.map_err(|message| Error::file(&self.path, format!("line {line}: {message}")))?);
        }
        Ok(rows)
    }

    fn row(&self, text: &str) -> Result<Row<'_, N>, String> {
        let mut cells = cells(text)?;
        if cells.len() != self.width {
            return Err(format!("{} columns, the first line has {}", cells.len(), self.width));
        }
        let cells = self.columns.map(|column| std::mem::take(&mut cells[column]));
        Ok(Row { names: &self.names, cells })
    }
}

impl<const N: usize> Row<'_, N> {
    /// The text of a column, which is not to be empty.
    pub fn name(&self, column: usize) -> Result<String, String> {
        match self.cells[column].as_str() {
            "" => Err(self.wrong(column, "a name")),
            name => Ok(name.into()),
        }
    }

    /// The number of a column.
    pub fn number(&self, column: usize) -> Result<f64, String> {
        let number = self.cells[column].parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| self.wrong(column, "a number"))
    }

    /// The error of a column that is not what it should be.
    pub fn wrong(&self, column: usize, expected: &str) -> String {
        let start: String = self.cells[column].chars().take(60).collect();
        format!("{} is {start:?}, should be {expected}", self.names[column])
    }
}

/// The next line without its end; none after the last.
fn next_line(path: &Path, lines: &mut dyn BufRead) -> Result<Option<String>> {
    /// No line of a table is longer: a small packed file can hold a very long one.
    const LONGEST: u64 = 1 << 20;
    let mut text = vec![];
    let read = lines.take(LONGEST).read_until(b'\n', &mut text);
    let unreadable = |message: &str| Error::file(path, format!("is no table that can be read: {message}"));
    read.map_err(|error| unreadable(&error.to_string()))?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() as u64 == LONGEST {
        return Err(unreadable("a line never ends"));
    }
    let text = String::from_utf8(text).map_err(|_| unreadable("a line is not text"))?;
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_string()))
}

/// The cells of a line. One in quotes may hold commas; two quotes in it are one.
fn cells(text: &str) -> Result<Vec<String>, String> {
    let (mut cells, mut cell, mut quoted) = (vec![], String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(c),
        }
    }
    if quoted {
        return Err("a quote is not closed".into());
    }
    cells.push(cell);
    Ok(cells.into_iter().map(|cell| cell.trim().to_string()).collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn sums(bytes: &[u8]) -> Result<Vec<f64>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        Csv::read(file.path(), ["b", "a"])?.rows(|row| Ok(10.0 * row.number(0)? + row.number(1)?))
    }

    fn message(text: &str) -> String {
        let message = sums(text.as_bytes()).unwrap_err().to_string();
        message.split_once(": ").unwrap().1.to_string()
    }

    #[test]
    fn columns_are_found_by_name() {
        assert_eq!(sums(b"a,b\n1,2\n3,4\n").unwrap(), [21.0, 43.0]);
        assert_eq!(sums(b"b,\"x, y\",a\r\n2,\"[4, \"\"2\"\"]\", 1\r\n\r\n").unwrap(), [21.0]);
        assert_eq!(sums("\u{feff}a,b\n1,-2e1".as_bytes()).unwrap(), [-199.0]);
        let mut packed = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        packed.write_all(b"a,b\n1,2\n").unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(sums(&packed).unwrap(), [21.0]);
        let cut = sums(&packed[..packed.len() - 9]).unwrap_err().to_string();
        assert!(cut.contains("is no table that can be read"), "{cut}");
    }

    #[test]
    fn a_bad_line_is_named() {
        assert_eq!(
            message("a,c\n"),
            "line 1: there is no column b; the columns of this table are [\"b\", \"a\"]"
        );
        assert_eq!(message(""), "line 1: there is no column b; the columns of this table are [\"b\", \"a\"]");
        assert_eq!(message("a,b\n1,2\n1,x\n"), "line 3: b is \"x\", should be a number");
        assert_eq!(message("a,b\n\n1,NaN\n"), "line 3: b is \"NaN\", should be a number");
        assert_eq!(message("a,b\n1\n"), "line 2: 1 columns, the first line has 2");
        assert_eq!(message("a,b\n1,\"2\n"), "line 2: a quote is not closed");
        let long = format!("a,b\n{}", "1".repeat(1 << 20));
        assert_eq!(message(&long), "is no table that can be read: a line never ends");
        assert!(sums(b"a,b\n\xff,1\n").unwrap_err().to_string().ends_with("a line is not text"));
    }
}
