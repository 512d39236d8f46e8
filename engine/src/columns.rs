//! Plain text in columns.

/// Rows of cells under their heads, each column as wide as its widest cell; the first `left` columns
/// begin at the same place, the others, which hold numbers, end at the same place.
pub(crate) fn columns<const N: usize>(heads: [&str; N], left: usize, rows: &[[String; N]]) -> String {
    let width = |text: &str| text.chars().count();
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| width(&row[column])).max().unwrap_or(0).max(width(heads[column]))
    });
    let line = |cells: [&str; N]| {
        let padded: Vec<String> = (0..N)
            .map(|column| {
                let (cell, space) = (cells[column], " ".repeat(widths[column] - width(cells[column])));
                if column < left { format!("{cell}{space}") } else { format!("{space}{cell}") }
            })
            .collect();
        padded.join("  ").trim_end().to_string() + "\n"
    };
    let lines = rows.iter().map(|row| line(row.each_ref().map(String::as_str)));
    std::iter::once(line(heads)).chain(lines).collect()
}

/// A number with its thousands apart: 18,090.
pub(crate) fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["conv1", "448"], ["a longer name", "1"]].map(|row| row.map(String::from));
        let text = columns(["layer", "parameters"], 1, &rows);
        assert_eq!(
            text,
            "layer          parameters\n\
             conv1                 448\n\
             a longer name           1\n"
        );
        assert_eq!(columns(["a", "b"], 2, &[]), "a  b\n");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(
            [0, 999, 1000, 18_090, 1_234_567].map(thousands),
            ["0", "999", "1,000", "18,090", "1,234,567"]
        );
    }
}
