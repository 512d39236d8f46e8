//! The instructions of a pickle, one byte each (Python's `Lib/pickletools.py` explains them all).

macro_rules! opcodes {
    ($($name:ident = $code:literal, $what:literal;)*) => {
        $( #[doc = $what] pub(super) const $name: u8 = $code; )*
    };
}

opcodes! {
    PROTO = 0x80, "a byte: the version of the language";
    FRAME = 0x95, "8 bytes: how long the next part is, for readers that buffer";
    STOP = b'.', "the end; the object on top is the result";

    NONE = b'N', "push None";
    NEWTRUE = 0x88, "push True";
    NEWFALSE = 0x89, "push False";
    BININT1 = b'K', "push a number of 1 byte";
    BININT2 = b'M', "push a number of 2 bytes";
    BININT = b'J', "push a signed number of 4 bytes";
    LONG1 = 0x8a, "push a signed number of as many bytes as the next byte says";
    BINFLOAT = b'G', "push a number of 8 bytes, big-endian";
    SHORT_BINUNICODE = 0x8c, "push a text, its length in 1 byte";
    BINUNICODE = b'X', "push a text, its length in 4 bytes";
    BINUNICODE8 = 0x8d, "push a text, its length in 8 bytes";

    MARK = b'(', "remember how high the stack is";
    EMPTY_TUPLE = b')', "push a tuple of nothing";
    TUPLE1 = 0x85, "a tuple of the object on top";
    TUPLE2 = 0x86, "a tuple of the 2 on top";
    TUPLE3 = 0x87, "a tuple of the 3 on top";
    TUPLE = b't', "a tuple of all above the mark";
    EMPTY_LIST = b']', "push a list of nothing";
    APPEND = b'a', "the object on top goes into the list under it";
    APPENDS = b'e', "all above the mark go into the list under it";
    EMPTY_DICT = b'}', "push a dict of nothing";
    SETITEM = b's', "the key and value on top go into the dict under them";
    SETITEMS = b'u', "all keys and values above the mark go into the dict under it";

    BINPUT = b'q', "remember the object on top under a number of 1 byte";
    LONG_BINPUT = b'r', "remember the object on top under a number of 4 bytes";
    MEMOIZE = 0x94, "remember the object on top under the next number";
    BINGET = b'h', "push what is remembered under a number of 1 byte";
    LONG_BINGET = b'j', "push what is remembered under a number of 4 bytes";

    GLOBAL = b'c', "push the function or class of the module and name on the next two lines";
    STACK_GLOBAL = 0x93, "push the function or class of the module and name on top";
    REDUCE = b'R', "call the function under the tuple on top with it";
    BUILD = b'b', "give the object under the one on top the attributes in that one";
    BINPERSID = b'Q', "push the storage that the tuple on top describes";
}

/// The name of an instruction that no state dict needs, if Python has it at all.
pub(super) fn refused(code: u8) -> Option<&'static str> {
    Some(match code {
        b'0' => "POP",
        b'1' => "POP_MARK",
        b'2' => "DUP",
        b'F' => "FLOAT",
        b'I' => "INT",
        b'L' => "LONG",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'T' => "BINSTRING",
        b'U' => "SHORT_BINSTRING",
        b'V' => "UNICODE",
        b'd' => "DICT",
        b'g' => "GET",
        b'i' => "INST",
        b'l' => "LIST",
        b'o' => "OBJ",
        b'p' => "PUT",
        b'B' => "BINBYTES",
        b'C' => "SHORT_BINBYTES",
        0x81 => "NEWOBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8b => "LONG4",
        0x8e => "BINBYTES8",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x92 => "NEWOBJ_EX",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return None,
    })
}
