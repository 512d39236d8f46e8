//! Tables whose first line names their columns.

use std::path::Path;

use crate::data::csv::Rows;
use crate::{Error, Result};

/// A table, `N` columns of which are asked for.
pub(super) struct Csv<const N: usize> {
    rows: Rows,
    names: [&'static str; N],
    /// Where they stand in a line.
    columns: [usize; N],
    /// The columns of the first line.
    width: usize,
}

/// A row of a table: the columns that are asked for.
pub(super) struct Row<'a, const N: usize> {
    names: &'a [&'static str; N],
    cells: [String; N],
}

impl<const N: usize> Csv<N> {
    /// Opens a table, plain or packed with gzip, and finds the columns called `names`.
    pub fn read(path: &Path, names: [&'static str; N]) -> Result<Csv<N>> {
        let mut rows = Rows::open(path)?;
        let head = rows.next()?;
        let cells = head.as_ref().map_or(&[][..], |head| &head.cells);
        let mut columns = [0; N];
        for (column, name) in columns.iter_mut().zip(names) {
            *column = cells.iter().position(|cell| cell == name).ok_or_else(|| {
                let missing = format!("there is no column {name}; the columns of this table are {names:?}");
                match &head {
                    Some(head) => head.wrong(&missing),
                    None => Error::file(path, format!("line 1: {missing}")),
                }
            })?;
        }
        Ok(Csv { width: cells.len(), rows, names, columns })
    }

    /// What `make` makes of each row.
    pub fn rows<T>(mut self, make: impl Fn(&Row<N>) -> Result<T, String>) -> Result<Vec<T>> {
        let mut made = vec![];
        while let Some(mut row) = self.rows.next()? {
            let cells = self.cells(&mut row.cells).map_err(|message| row.wrong(&message))?;
            let asked = Row { names: &self.names, cells };
            made.push(make(&asked).map_err(|message| row.wrong(&message))?);
        }
        Ok(made)
    }

    /// Those that are asked for, of all cells of a row.
    fn cells(&self, cells: &mut [String]) -> Result<[String; N], String> {
        match cells.len() == self.width {
            true => Ok(self.columns.map(|column| std::mem::take(&mut cells[column]))),
            false => Err(format!("{} columns, the first line has {}", cells.len(), self.width)),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(text: &str) -> Result<Vec<f64>> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Csv::read(file.path(), ["b", "a"])?.rows(|row| Ok(10.0 * row.number(0)? + row.number(1)?))
    }

    fn message(text: &str) -> String {
        let message = sums(text).unwrap_err().to_string();
        message.split_once(": ").unwrap().1.to_string()
    }

    #[test]
    fn columns_are_found_by_name() {
        assert_eq!(sums("a,b\n1,2\n3,4\n").unwrap(), [21.0, 43.0]);
        assert_eq!(sums("b,\"x, y\",a\r\n2,\"[4, \"\"2\"\"]\", 1\r\n\r\n").unwrap(), [21.0]);
        assert_eq!(sums("\u{feff}a,b\n1,-2e1").unwrap(), [-199.0]);
    }

    #[test]
    fn a_bad_line_is_named() {
        let no_b = "line 1: there is no column b; the columns of this table are [\"b\", \"a\"]";
        assert_eq!(message("a,c\n"), no_b);
        assert_eq!(message(""), no_b);
        assert_eq!(message("a,b\n1,2\n1,x\n"), "line 3: b is \"x\", should be a number");
        assert_eq!(message("a,b\r\n\r\n1,NaN\r\n"), "line 3: b is \"NaN\", should be a number");
        assert_eq!(message("a,b\n1\n"), "line 2: 1 columns, the first line has 2");
        assert_eq!(message("a,b\n1,\"2\n"), "line 2: a quote is not closed");
    }
}
