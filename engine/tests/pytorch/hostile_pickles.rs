//! Programs that want more than to build a state dict.

use voxgrad_engine::random::Rng;

use crate::archives::{View, checkpoint, dict, number, numbers, text};
use crate::{read_bytes, refuses};

const FOUR: [u8; 16] = [0; 16];

fn one(view: &View) -> Vec<u8> {
    checkpoint(&dict("w", &view.push()), &FOUR)
}

const GOOD: View = View { key: "0", len: 4, offset: 0, size: &[2, 2], stride: &[2, 1] };

#[test]
fn the_good_one_is_read() {
    let read = read_bytes(&one(&GOOD)).unwrap();
    assert_eq!(read.entries[0].tensor.shape()[..], [2, 2]);
}

#[test]
fn functions_are_refused_by_name() {
    let call = |function: &str| [function.as_bytes(), &text("touch /tmp/x"), b"\x85R"].concat();
    refuses(&checkpoint(&call("cposix\nsystem\n"), &[]), &["\"posix.system\"", "Nothing was run", "byte 2"]);
    refuses(&checkpoint(&call("cbuiltins\neval\n"), &[]), &["\"builtins.eval\""]);
    refuses(&checkpoint(&call("ctorch\nload\n"), &[]), &["\"torch.load\""]);
    refuses(&checkpoint(&call("ccollections\nOrderedDict.fromkeys\n"), &[]), &["OrderedDict.fromkeys"]);
    let by_stack = [&text("os")[..], &text("system"), b"\x93"].concat();
    refuses(&checkpoint(&by_stack, &[]), &["\"os.system\""]);
    // What the terminal would take for a command of its own is spelled out.
    refuses(&checkpoint(b"c\x1b[2J\nx\n", &[]), &["\\u{1b}[2J.x"]);
}

#[test]
fn instructions_that_no_state_dict_needs_are_refused_by_name() {
    let mut refused = 0;
    for code in 0..=u8::MAX {
        let program = [&[code][..], &[0; 64]].concat();
        let message = read_bytes(&checkpoint(&program, &[])).expect_err("the file was read");
        refused += usize::from(message.contains(&format!("byte 2: instruction {code:#04x}, ")));
    }
    assert_eq!(refused, 256 - 36, "36 instructions are followed");
    refuses(&checkpoint(b"\x81", &[]), &["NEWOBJ"]);
    refuses(&checkpoint(b"i", &[]), &["INST"]);
    refuses(&checkpoint(b"\x82\x01", &[]), &["EXT1"]);
    refuses(&checkpoint(b"\xff", &[]), &["0xff", "no version of Python has"]);
    refuses(&checkpoint(b"\x80\x06", &[]), &["protocol 6"]);
}

#[test]
fn lengths_beyond_the_end_are_refused() {
    let huge = u64::MAX.to_le_bytes();
    for code in [0x8d, 0x95] {
        refuses(&checkpoint(&[&[code], &huge[..]].concat(), &[]), &["18446744073709551615 bytes"]);
    }
    refuses(&checkpoint(b"X\xff\xff\xff\xff", &[]), &["4294967295 bytes wanted, 1 are left"]);
    refuses(&checkpoint(&[b"\x8a\xff", &[1; 255][..]].concat(), &[]), &["a number of 255 bytes"]);
    refuses(&checkpoint(b"cnever ends", &[]), &["a line without an end"]);
    refuses(&checkpoint(b"X\x01\0\0\0\xff", &[]), &["UTF-8"]);
    refuses(&checkpoint(b"}.}", &[]), &["2 bytes come after the end"]);
}

#[test]
fn the_stack_and_the_memory_hold_what_was_put_there() {
    for program in
        [&b"\x85"[..], b"N\x86", b"a", b"Na", b"N(s", b"R", b"NR", b"Q", b"q\0", b"\x94", b"b", b"(N\x86"]
    {
        refuses(&checkpoint(program, &[]), &["stack"]);
    }
    refuses(&checkpoint(b"t", &[]), &["no mark"]);
    refuses(&checkpoint(b"h\x07", &[]), &["nothing is remembered under 7"]);
    refuses(&checkpoint(b"Nr\xff\xff\xff\xffj\xfe\xff\xff\xff", &[]), &["under 4294967294"]);
    refuses(&checkpoint(b"}}", &[]), &["1 objects are left over"]);
    refuses(&checkpoint(b"NNa", &[]), &["None is no list"]);
    refuses(&checkpoint(b"](NNu", &[]), &["a list is no dict"]);
    refuses(&checkpoint(b"}(Nu", &[]), &["a key has no value"]);
    refuses(&checkpoint(b"}}R", &[]), &["a call with a dict"]);
    refuses(&checkpoint(b"})R", &[]), &["a dict is called"]);
    refuses(&checkpoint(b"]}b", &[]), &["a list is given attributes"]);
    refuses(&checkpoint(b"}N}s", &[]), &["a key in \"\" is None"]);
    refuses(&checkpoint(&dict("f", b"ccollections\nOrderedDict\n"), &[]), &["\"f\" is a function"]);
}

#[test]
fn nesting_without_end_ends() {
    // A million tuples in each other, which only a walk without recursion survives.
    refuses(&checkpoint(&[b"N", &vec![0x85; 1_000_000][..]].concat(), &[]), &["it holds a tuple"]);
    refuses(&checkpoint(&vec![b'('; 1_000_000], &[]), &["stack is empty"]);
    let itself = [b"}q\0", &text("a")[..], b"h\0s"].concat();
    refuses(&checkpoint(&itself, &[]), &["more than 16 dicts or lists deep"]);
    // Ten times a list of ten times a list of ..: few bytes, 10^15 items.
    let mut laughs = b"]q\0".to_vec();
    for level in 0..15 {
        laughs = [b"]q", &[level + 1][..], b"(", &laughs, &[b'h', level].repeat(9), b"e"].concat();
    }
    refuses(&checkpoint(&dict("all", &laughs), &[]), &["more than 64 times"]);
    let long = [&text(&"x".repeat(100_000))[..], b"q\0"].concat();
    let again = (0..70).flat_map(|i| [text(&format!("k{i}")), b"h\0".to_vec()].concat());
    let texts = [&dict("k", &long)[..], b"(", &again.collect::<Vec<u8>>(), b"u"].concat();
    refuses(&checkpoint(&texts, &[]), &["more than 64 times"]);
}

#[test]
fn tensors_lie_in_their_storage() {
    let inside = |view: View| one(&view);
    let far = i64::MAX;
    for view in [
        View { offset: 1, ..GOOD },
        View { offset: far, ..GOOD },
        View { size: &[2, 3], ..GOOD },
        View { stride: &[3, 1], ..GOOD },
        View { stride: &[far, far], ..GOOD },
        View { len: 3, ..GOOD },
    ] {
        refuses(&inside(view), &["tensor \"w\": [2, ", "leaves its storage"]);
    }
    // A stride along a single element leads nowhere.
    read_bytes(&inside(View { size: &[1, 4], stride: &[far, 1], ..GOOD })).unwrap();
    read_bytes(&inside(View { size: &[0, 4], stride: &[far, far], offset: far, ..GOOD })).unwrap();

    refuses(&inside(View { size: &[far, far], ..GOOD }), &["more elements"]);
    refuses(&inside(View { size: &[1 << 16, 1 << 16], stride: &[0, 0], ..GOOD }), &["more elements"]);
    refuses(&inside(View { size: &[0, far], ..GOOD }), &["more elements"]);
    refuses(&inside(View { size: &[1 << 31], stride: &[0], ..GOOD }), &["more than 64 times"]);
    refuses(&inside(View { size: &[1; 9], stride: &[1; 9], ..GOOD }), &["9 dimensions"]);
    refuses(&inside(View { size: &[4], ..GOOD }), &["1 sizes and 2 strides"]);
    refuses(&inside(View { size: &[-2, 2], ..GOOD }), &["-2 where a size"]);
    refuses(&inside(View { stride: &[2, -1], ..GOOD }), &["-1 where a size"]);
    refuses(&inside(View { offset: -1, ..GOOD }), &["-1 where a size"]);
    refuses(&inside(View { len: -1, ..GOOD }), &["-1 where a size"]);
    refuses(&inside(View { len: 5, ..GOOD }), &["storage \"0\" of 5 elements of type F32 has 16 bytes"]);
    refuses(&inside(View { len: far, ..GOOD }), &["has 16 bytes"]);
    refuses(&inside(View { key: "1", ..GOOD }), &["data/1"]);
    refuses(&inside(View { key: "../data.pkl", ..GOOD }), &["data/../data.pkl"]);

    let storage = [b"(", &text("module")[..], &numbers(&[1]), b"tQ"].concat();
    refuses(&checkpoint(&storage, &FOUR), &["a storage is described by"]);
    let no_storage =
        [b"ctorch._utils\n_rebuild_tensor_v2\n", &numbers(&[0, 1, 2, 3, 4, 5])[..], b"R"].concat();
    refuses(&checkpoint(&no_storage, &FOUR), &["a tensor of a whole number, not of a storage"]);
    let few = [b"ctorch._utils\n_rebuild_tensor_v2\n", &number(1)[..], b"\x85R"].concat();
    refuses(&checkpoint(&few, &FOUR), &["a tensor of 1 arguments"]);
    refuses(&checkpoint(b"ctorch._utils\n_rebuild_parameter\nNNN\x87R", &FOUR), &["a parameter is a tensor"]);
    let twice = [b"}", &[text("w"), GOOD.push(), b"s".to_vec()].concat().repeat(2)[..]].concat();
    refuses(&checkpoint(&twice, &FOUR), &["\"w\" comes twice"]);
}

/// Programs with a wrong byte, and programs of random instructions, are read or refused: no panic.
#[test]
fn broken_programs_are_read_or_refused() {
    let good = [&b"\x80\x02"[..], &dict("w", &GOOD.push())].concat();
    let mut read = 0;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut program = good.clone();
            program[at] ^= 1 << bit;
            read += usize::from(read_bytes(&checkpoint(&program, &FOUR)).is_ok());
        }
    }
    assert!(read > 0 && read < 2 * good.len(), "{read} were read");

    let pieces: Vec<Vec<u8>> = b"NK)]}\x85\x86\x87(taesuq\x94hRbQ\x88\x89"
        .iter()
        .map(|&code| if b"Kqh".contains(&code) { vec![code, 0] } else { vec![code] })
        .chain([text("storage"), numbers(&[1, 1]), GOOD.push(), b"ccollections\nOrderedDict\n".to_vec()])
        .collect();
    let mut rng = Rng::new(5, 0);
    for _ in 0..2000 {
        let program: Vec<u8> =
            (0..rng.below(20)).flat_map(|_| &pieces[rng.below(pieces.len())]).copied().collect();
        let _ = read_bytes(&checkpoint(&program, &FOUR));
    }
}
