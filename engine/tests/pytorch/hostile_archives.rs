//! Archives that are damaged, or lead elsewhere, or hold more than they seem to.

use std::fs;

use crate::archives::{archive, checkpoint};
use crate::{file, read_bytes, refuses};

const EMPTY: &[u8] = b"\x80\x02}.";

#[test]
fn the_good_one_is_read() {
    assert!(read_bytes(&archive(&[("net/data.pkl", EMPTY)])).unwrap().entries.is_empty());
    assert!(read_bytes(&checkpoint(b"}", &[])).unwrap().entries.is_empty());
}

#[test]
fn other_zip_files_and_machines() {
    refuses(&archive(&[("net/text.txt", b"hello")]), &["without a data.pkl"]);
    refuses(&archive(&[("data.pkl", EMPTY)]), &["without a data.pkl"]);
    let with = |order: &[u8]| archive(&[("net/data.pkl", EMPTY), ("net/byteorder", order)]);
    refuses(&with(b"big"), &["byte order is \"big\""]);
    refuses(&with(b"middle"), &["byte order is \"middle\""]);
    read_bytes(&with(b"little\n")).unwrap();
    refuses(&archive(&[("net/data.pkl", EMPTY), ("net/constants.pkl", b"")]), &["TorchScript"]);
    refuses(&archive(&[("net/data.pkl", &vec![0; (16 << 20) + 1])]), &["16777217 bytes, at most 16777216"]);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "net/../../x",
        "net/data/../../x",
        "net//x",
        "net/./x",
        "net/data\\..\\x",
        "net/x\0y",
        "elsewhere/data/0",
        "C:\\x",
        "network",
        "",
    ] {
        refuses(
            &archive(&[("net/data.pkl", EMPTY), (name, b"x")]),
            &["the zip archive holds", "below \"net\""],
        );
    }
    for name in ["../data.pkl", "/data.pkl", "net/../../data.pkl", "C:\\net/data.pkl"] {
        refuses(&archive(&[(name, EMPTY)]), &["the zip archive holds"]);
    }
}

#[test]
fn damage_is_noticed() {
    let good = fs::read(file("layers.pt")).unwrap();
    let at = |part: &[u8]| good.windows(part.len()).position(|bytes| bytes == part).unwrap();

    // The weights 1.0 and 2.0 of the first storage: their checksum is wrong then.
    let weights = at(&[1f32.to_le_bytes(), 2f32.to_le_bytes()].concat());
    let mut changed = good.clone();
    changed[weights] ^= 1;
    refuses(&changed, &["\"fc.weight\"", "\"data/0\" in the zip archive", "checksum"]);
    let mut changed = good.clone();
    changed[at(b"OrderedDict")] ^= 1;
    refuses(&changed, &["\"data.pkl\" in the zip archive", "checksum"]);
    let mut changed = good.clone();
    changed[at(b"little")] ^= 1;
    refuses(&changed, &["\"byteorder\" in the zip archive", "checksum"]);

    for cut in [good.len() - 1, good.len() / 2, 100, 4] {
        refuses(&good[..cut], &["not a whole zip archive"]);
    }
    // A wrong bit anywhere makes a file that is read or refused: no panic.
    let mut refused = 0;
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1 << (at % 8);
        refused += usize::from(read_bytes(&changed).is_err());
    }
    // Padding, dates and the like do not matter.
    assert!(refused > good.len() / 4, "{refused} of {} were refused", good.len());
}

/// Writes `to` over every `from`, in front of a file and in the directory at the end.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut found = 0;
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..][..to.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0);
    bytes
}

#[test]
fn one_name_or_one_byte_is_not_there_twice() {
    let two = archive(&[("net/data.pkl", EMPTY), ("net/othe.pkl", b"")]);
    refuses(&replaced(two, b"net/othe.pkl", b"net/data.pkl"), &["comes twice"]);

    // The second file begins where the first does.
    let mut two = archive(&[("net/data.pkl", EMPTY), ("net/data/0", &[1; 64])]);
    let entry = two.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    two[entry + 42..entry + 46].copy_from_slice(&0u32.to_le_bytes());
    refuses(&two, &["overlap"]);
}

#[test]
fn what_a_file_says_of_its_size_is_not_believed() {
    let storage = [7; 64];
    let program = b"}";
    let good = checkpoint(program, &storage);
    for size in [65u32, 1 << 30, u32::MAX - 1] {
        // Compressed and uncompressed size stand side by side.
        let (from, to) = ([64u32.to_le_bytes(); 2].concat(), [size.to_le_bytes(); 2].concat());
        let changed = replaced(good.clone(), &from, &to);
        assert!(read_bytes(&changed).is_err(), "{size} bytes were believed");
    }
    // As many files as a directory can name, of which none is there.
    let end = good.windows(4).rposition(|bytes| bytes == b"PK\x05\x06").unwrap();
    let mut changed = good.clone();
    changed[end + 8..end + 12].copy_from_slice(&[0xfe; 4]);
    refuses(&changed, &["not a whole zip archive"]);
}

#[test]
fn compressed_files_are_refused() {
    // Written as they are, but marked as deflated (method 8) in the directory.
    let mut bytes = archive(&[("net/data.pkl", EMPTY)]);
    let entry = bytes.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    bytes[entry + 10] = 8;
    refuses(&bytes, &["\"data.pkl\" in the zip archive", "ompress"]);
}
