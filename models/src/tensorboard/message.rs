//! Messages of protocol buffers, as far as events need them: fields one after the other, each with a key
//! that holds its number and how it is written. A field whose value is 0 or empty may be left out.
//!
//! <https://protobuf.dev/programming-guides/encoding/>

/// How a field is written: the lowest three bits of its key.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH_AND_BYTES: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// A message in the making.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub fn new() -> Message {
        Message::default()
    }

    /// A whole number: `int64`, `uint32`, an `enum`. Left out when it is 0.
    pub fn whole(mut self, field: u64, value: u64) -> Message {
        if value != 0 {
            self.key(field, VARINT);
            self.varint(value);
        }
        self
    }

    /// A `double`. Left out when it is 0.
    pub fn double(mut self, field: u64, value: f64) -> Message {
        if value.to_bits() != 0 {
            self.key(field, EIGHT_BYTES);
            self.0.extend(value.to_le_bytes());
        }
        self
    }

    /// A `float`. Written even when it is 0: the ones here say by being there what the message is.
    pub fn float(mut self, field: u64, value: f32) -> Message {
        self.key(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A `string`, or `bytes`.
    pub fn bytes(mut self, field: u64, bytes: impl AsRef<[u8]>) -> Message {
        self.key(field, LENGTH_AND_BYTES);
        self.varint(bytes.as_ref().len() as u64);
        self.0.extend(bytes.as_ref());
        self
    }

    /// A message within this one.
    pub fn message(self, field: u64, message: Message) -> Message {
        self.bytes(field, message.0)
    }

    /// Many `double`s, packed. Left out when there are none.
    pub fn doubles(self, field: u64, values: impl IntoIterator<Item = f64>) -> Message {
        let bytes: Vec<u8> = values.into_iter().flat_map(f64::to_le_bytes).collect();
        if bytes.is_empty() { self } else { self.bytes(field, bytes) }
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    /// Seven bits a byte, the lowest first; the eighth says that another byte follows.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of the guide to the encoding.
    #[test]
    fn fields_are_those_of_the_guide() {
        assert_eq!(Message::new().whole(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(Message::new().bytes(2, "testing").into_bytes(), *b"\x12\x07testing");
        let inner = Message::new().whole(1, 150);
        assert_eq!(Message::new().message(3, inner).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert!(Message::new().whole(1, 0).double(2, 0.0).doubles(3, []).into_bytes().is_empty());
    }
}
