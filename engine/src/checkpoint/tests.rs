use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::*;
use crate::nn::{Linear, Module};
use crate::{Device, Error, Tensor};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn floats(values: &[f32]) -> Tensor {
    Tensor::new(values, [values.len()], &Device::cpu()).unwrap()
}

/// A safetensors file with this header and these bytes of data.
fn raw(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn what_was_saved_comes_back() {
    let folder = folder();
    let path = folder.path().join("net.safetensors");
    let cpu = Device::cpu();
    let tensors = [
        ("b.weight".to_string(), floats(&[1.5, -0.0, f32::MAX])),
        ("steps".to_string(), Tensor::new(&[u32::MAX], [], &cpu).unwrap()),
        ("a.wide".to_string(), Tensor::new(&[1.0 / 3.0, 2.0], [1, 2, 1], &cpu).unwrap()),
        ("empty".to_string(), Tensor::new::<f32>(&[], [0, 3], &cpu).unwrap()),
    ];
    let metadata = BTreeMap::from([("epoch", "7"), ("a \"b\"\n", "ü")].map(|(k, v)| (k.into(), v.into())));
    save(&path, &tensors, &metadata).unwrap();
    let first = fs::read(&path).unwrap();
    save(&path, &tensors, &metadata).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first, "the same tensors give the same bytes");

    let (loaded, found) = load(&path).unwrap();
    assert_eq!(found, metadata);
    assert_eq!(loaded.len(), tensors.len());
    for (name, wanted) in &tensors {
        let (_, got) = loaded.iter().find(|(n, _)| n == name).unwrap();
        assert_eq!((got.shape(), got.dtype()), (wanted.shape(), wanted.dtype()));
        assert_eq!(got.to_f64_vec().unwrap(), wanted.to_f64_vec().unwrap());
    }
    // Nothing temporary is left behind.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_is_replaced_whole_or_not_at_all() {
    let folder = folder();
    let path = folder.path().join("config.json");
    write_atomically(&path, b"a longer first text").unwrap();
    write_atomically(&path, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary is left behind");
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    let message = write_atomically(&taken, b"x").unwrap_err().to_string();
    assert!(message.starts_with(&taken.display().to_string()), "{message}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing temporary is left behind");
}

#[test]
fn counts_are_stored_as_pytorch_wants_them() {
    let folder = folder();
    let path = folder.path().join("net.safetensors");
    let count = Tensor::new(&[7u32], [], &Device::cpu()).unwrap();
    save(&path, &[("bn.num_batches_tracked".into(), count)], &BTreeMap::new()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor("bn.num_batches_tracked").unwrap();
    assert_eq!((view.dtype(), view.shape()), (safetensors::Dtype::I64, &[][..]));
    assert_eq!(view.data(), 7i64.to_le_bytes());
}

#[test]
fn half_precision_becomes_f32() {
    let folder = folder();
    let path = folder.path().join("half.safetensors");
    let header = r#"{"f":{"dtype":"F16","shape":[2],"data_offsets":[0,4]},
        "b":{"dtype":"BF16","shape":[2],"data_offsets":[4,8]}}"#;
    // 1.5 and the smallest f16 above 0; 1.5 and -2.
    let data = [0x00, 0x3e, 0x01, 0x00, 0xc0, 0x3f, 0x00, 0xc0];
    fs::write(&path, raw(header, &data)).unwrap();
    let (loaded, _) = load(&path).unwrap();
    assert_eq!(loaded[0].1.to_vec::<f32>().unwrap(), [1.5, 2f32.powi(-24)]);
    assert_eq!(loaded[1].1.to_vec::<f32>().unwrap(), [1.5, -2.0]);
}

#[test]
fn a_file_that_is_no_checkpoint_is_named_with_its_fault() {
    let folder = folder();
    let entry = |dtype: &str, shape: &str, offsets: &str| {
        format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let one = |info: String| format!(r#"{{"w":{info}}}"#);
    let two = |a: String, b: String| format!(r#"{{"v":{a},"w":{b}}}"#);
    let f32_2 = entry("F32", "[2]", "[0,8]");
    let good = raw(&one(f32_2.clone()), &[0; 8]);
    let minus = (-1i64).to_le_bytes();
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "header too small"),
        ("short", vec![1, 2, 3], "header too small"),
        ("text", b"this is not a checkpoint at all".to_vec(), "header too large"),
        ("no header", u64::MAX.to_le_bytes().to_vec(), "header too large"),
        ("header beyond the end", 90_000_000u64.to_le_bytes().to_vec(), "invalid header length"),
        ("cut in the header", good[..20].to_vec(), "cut short: 12 of the 54 bytes of its header are there"),
        (
            "cut in the data",
            good[..good.len() - 1].to_vec(),
            "cut short: tensor \"w\" ends at byte 8 of 7 bytes",
        ),
        ("too long", [&good[..], &[0]].concat(), "not fully covered"),
        ("not UTF-8", [&1u64.to_le_bytes()[..], &[0xff]].concat(), "UTF-8"),
        ("not JSON", raw("{\"w\":", &[]), "EOF while parsing"),
        ("not an object", raw("[1, 2]", &[]), "expected an object"),
        ("deep", raw(&format!("{{\"__metadata__\":{}", "[".repeat(100_000)), &[]), "EOF while parsing"),
        (
            "overlap",
            raw(&two(f32_2.clone(), entry("F32", "[2]", "[4,12]")), &[0; 12]),
            "offset for tensor `w`",
        ),
        ("hole", raw(&one(entry("F32", "[2]", "[4,12]")), &[0; 12]), "offset for tensor `w`"),
        (
            "out of range",
            raw(&one(entry("F32", "[4]", "[0,16]")), &[0; 8]),
            "\"w\" ends at byte 16 of 8 bytes",
        ),
        ("backwards", raw(&one(entry("F32", "[2]", "[8,0]")), &[0; 8]), "offset"),
        ("wrong size", raw(&one(entry("F32", "[3]", "[0,8]")), &[0; 8]), "invalid shape"),
        ("huge", raw(&one(entry("F32", "[4294967296,4294967296]", "[0,8]")), &[0; 8]), "overflow"),
        (
            "at the end of memory",
            raw(&one(entry("U8", "[2]", "[18446744073709551613,18446744073709551615]")), &[]),
            "ends at byte",
        ),
        ("negative", raw(&one(entry("F32", "[-2]", "[0,8]")), &[0; 8]), "expected usize"),
        (
            "nine dimensions",
            raw(&one(entry("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]")), &[0; 8]),
            "tensor \"w\": shape: ",
        ),
        ("unknown type", raw(&one(entry("F99", "[2]", "[0,8]")), &[0; 8]), "F99"),
        ("another type", raw(&one(entry("F8_E4M3", "[8]", "[0,8]")), &[0; 8]), "\"w\": its type is F8_E4M3"),
        ("negative count", raw(&one(entry("I64", "[]", "[0,8]")), &minus), "\"w\": -1 does not fit"),
        ("twice", raw(&format!(r#"{{"w":{f32_2},"w":{f32_2}}}"#), &[0; 8]), "name \"w\" comes twice"),
    ];
    for (name, bytes, wanted) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let error = load(&path).err().unwrap_or_else(|| panic!("{name} was loaded"));
        assert!(matches!(error, Error::File { .. }), "{name}: {error:?}");
        let message = error.to_string();
        assert!(message.contains(name) && message.contains(wanted), "{name}: {message}");
    }
    assert!(load(folder.path()).unwrap_err().to_string().contains("not a file"));
    assert!(matches!(load(folder.path().join("none")), Err(Error::Io { .. })));
}

/// Whatever words a file puts into a message, a terminal does not obey them, and they are few.
#[test]
fn what_is_said_of_a_file_is_short_and_holds_no_commands() {
    let folder = folder();
    let path = folder.path().join("net.safetensors");
    let ones = format!("[{}1]", "1,".repeat(100_000));
    let long = "w".repeat(1 << 20);
    let info =
        |dtype: &str, shape: &str| format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":[0,4]}}"#);
    let cleared = "\\u001b[2J";
    for header in [
        format!(r#"{{"w":{}}}"#, info("F32", &ones)),
        format!(r#"{{"{long}":{}}}"#, info("I32", "[2]")),
        format!(r#"{{"{cleared}":{}}}"#, info("F8_E4M3", "[4]")),
        format!(r#"{{"{cleared}":{0},"{cleared}":{0}}}"#, info("F32", "[1]")),
        format!(r#"{{"{cleared}":{}}}"#, info("F32", "[2]")),
        format!(r#"{{"w":{}}}"#, info(cleared, "[1]")),
        format!(r#"{{"w":{}}}"#, info(&long, "[1]")),
    ] {
        fs::write(&path, raw(&header, &[0; 4])).unwrap();
        let message = load(&path).unwrap_err().to_string();
        assert!(!message.contains(char::is_control), "{message:?}");
        assert!(message.len() < 1000 + path.as_os_str().len(), "{} bytes", message.len());
    }
    // Nor are a network's words about a state dict, or the list of what is in a file.
    for name in [cleared, &long] {
        fs::write(&path, raw(&format!(r#"{{"{name}":{}}}"#, info("F32", "[1]")), &[0; 4])).unwrap();
        let checkpoint = read(&path).unwrap();
        let (described, (state, _)) = (checkpoint.describe().unwrap(), load(&path).unwrap());
        let refused = Linear::new(1, 1).unwrap().load_state_dict(&state).unwrap_err().to_string();
        for text in [described, refused] {
            assert!(!text.contains('\x1b') && text.len() < 2000, "{} bytes", text.len());
        }
    }
}

#[test]
fn every_damaged_byte_of_the_header_is_an_error_or_a_checkpoint() {
    let folder = folder();
    let path = folder.path().join("net.safetensors");
    let tensors = [("w".to_string(), floats(&[1.0, 2.0])), ("v".to_string(), floats(&[3.0]))];
    save(&path, &tensors, &BTreeMap::new()).unwrap();
    let good = fs::read(&path).unwrap();
    let mut refused = 0;
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, bytes).unwrap();
            refused += usize::from(load(&path).is_err());
        }
    }
    assert!(refused > good.len(), "only {refused} refused");
}

#[test]
fn a_failed_save_leaves_the_old_file() {
    let folder = folder();
    let path = folder.path().join("net.safetensors");
    save(&path, &[("w".into(), floats(&[1.0]))], &BTreeMap::new()).unwrap();
    let old = fs::read(&path).unwrap();
    let twice = [("w".to_string(), floats(&[2.0])), ("w".to_string(), floats(&[3.0]))];
    let error = save(&path, &twice, &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("name w is taken"), "{error}");
    save(&path, &[("__metadata__".into(), floats(&[]))], &BTreeMap::new()).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), old);

    // A folder stands where the file should go: nothing temporary is left behind.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    let error = save(&taken, &twice[..1], &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("taken"), "{error}");
    let missing: PathBuf = folder.path().join("missing/net.safetensors");
    let error = save(&missing, &twice[..1], &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("missing/net.safetensors"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[cfg(unix)]
#[test]
fn others_may_read_a_checkpoint() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let (path, plain) = (folder.path().join("net.safetensors"), folder.path().join("plain"));
    save(&path, &[("w".into(), floats(&[1.0]))], &BTreeMap::new()).unwrap();
    fs::write(&plain, "").unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&plain));
}
