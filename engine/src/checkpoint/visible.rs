//! A file's own words, safe to print.

/// `text` without what a terminal would take for a command, and without its middle when it is longer
/// than about `most` characters.
pub(crate) fn visible(text: &str, most: usize) -> String {
    let head = most / 3 * 2;
    let length = text.chars().count();
    if length <= most {
        return text.chars().map(shown).collect();
    }
    let (start, end) = (text.chars().take(head), text.chars().skip(length - (most - head)));
    start.map(shown).chain(["…".to_string()]).chain(end.map(shown)).collect()
}

/// As many characters of a name are shown.
pub(crate) const NAME: usize = 120;

fn shown(c: char) -> String {
    match c {
        '"' | '\'' | '\\' => c.into(),
        _ => c.escape_debug().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn commands_are_spelled_out_and_long_texts_lose_their_middle() {
        assert_eq!(visible("a \"b\" ü\\\x1b[2J\u{202e}\n", 100), r#"a "b" ü\\u{1b}[2J\u{202e}\n"#);
        assert_eq!(visible("123456789", 9), "123456789");
        assert_eq!(visible("1234567890", 9), "123456…890");
    }
}
