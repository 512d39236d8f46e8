//! The bytes of a pickle's program, taken one after the other.

type Result<T> = std::result::Result<T, String>;

pub(super) struct Program<'a> {
    whole: &'a [u8],
    /// What has not been taken yet.
    rest: &'a [u8],
}

impl<'a> Program<'a> {
    pub fn new(whole: &'a [u8]) -> Program<'a> {
        Program { whole, rest: whole }
    }

    /// How many bytes have been taken.
    pub fn at(&self) -> usize {
        self.whole.len() - self.rest.len()
    }

    /// How many have not.
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether `name` stands anywhere in the program.
    pub fn mentions(&self, name: &str) -> bool {
        self.whole.windows(name.len()).any(|part| part == name.as_bytes())
    }

    fn take(&mut self, n: u64) -> Result<&'a [u8]> {
        let taken = usize::try_from(n).ok().and_then(|n| self.rest.split_at_checked(n));
        let (taken, rest) = taken.ok_or_else(|| format!("{n} bytes wanted, {} are left", self.left()))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(*self.take(N as u64)?.first_chunk().expect("as many were taken"))
    }

    pub fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    /// A signed number of as many bytes as the first byte says, little-endian.
    pub fn long(&mut self) -> Result<i64> {
        let length = self.byte()?;
        let bytes = self.take(length.into())?;
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        let low = all.get_mut(..bytes.len()).ok_or_else(|| format!("a number of {length} bytes"))?;
        low.copy_from_slice(bytes);
        Ok(i64::from_le_bytes(all))
    }

    /// A text of `length` bytes.
    pub fn text(&mut self, length: u64) -> Result<&'a str> {
        utf8(self.take(length)?)
    }

    /// The text up to the end of the line.
    pub fn line(&mut self) -> Result<&'a str> {
        let end = self.rest.iter().position(|&byte| byte == b'\n').ok_or("a line without an end")?;
        let line = self.take(end as u64 + 1)?;
        utf8(&line[..end])
    }
}

fn utf8(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|e| format!("a text that is not UTF-8: {e}"))
}
