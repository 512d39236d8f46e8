//! Files that are not what they should be: each is named, and what is wrong in it.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use tempfile::TempDir;
use voxgrad_models::luna::ct::Ct;
use voxgrad_models::luna::metaimage::MetaImage;
use voxgrad_models::luna::scans::Scans;

const HEADER: &str = "ObjectType = Image
NDims = 3
BinaryData = True
CompressedData = False
Offset = 0 0 0
ElementSpacing = 1 1 2
DimSize = 4 3 2
ElementType = MET_SHORT
ElementDataFile = scan.raw
";

/// A folder with a scan whose header has these changes, and `bytes` of voxels.
fn scan(changes: &[(&str, &str)], bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut header = HEADER.to_string();
    for (old, new) in changes {
        assert!(header.contains(old), "{old}");
        header = header.replace(old, new);
    }
    fs::write(folder.path().join("scan.mhd"), header).unwrap();
    fs::write(folder.path().join("scan.raw"), bytes).unwrap();
    folder
}

fn message(folder: &TempDir) -> String {
    let message = MetaImage::read(folder.path().join("scan.mhd")).expect_err("it was read").to_string();
    message.replace(&format!("{}/", folder.path().display()), "")
}

/// Changed like this, the header is refused for what it says in a line, and why.
#[track_caller]
fn refuses(old: &str, new: &str, expected: &str) {
    assert_eq!(message(&scan(&[(old, new)], &[0; 48])), format!("scan.mhd: {expected}"));
}

#[test]
fn the_whole_one_is_read() {
    let image = MetaImage::read(scan(&[], &[1; 48]).path().join("scan.mhd")).unwrap();
    assert_eq!((image.size, image.to_f32()), ([2, 3, 4], vec![257.0; 24]));
}

#[test]
fn a_field_is_named_with_its_line() {
    refuses(
        "NDims = 3",
        "NDims = 2",
        "line 2: NDims = 2 should be 3: only volumes of three dimensions can be read",
    );
    refuses(
        "ObjectType = Image",
        "ObjectType = Mesh",
        "line 1: ObjectType = Mesh should be Image: only images can be read",
    );
    refuses("BinaryData = True", "BinaryData = yes", "line 3: BinaryData = yes should be True or False");
    refuses(
        "BinaryData = True",
        "BinaryData = False",
        "line 3: BinaryData = False should be True: voxels written as text can't be read",
    );
    refuses(
        "Offset = 0 0 0",
        "ElementNumberOfChannels = 3",
        "line 5: ElementNumberOfChannels = 3 should be 1: only one number per voxel can be read",
    );
    refuses("Offset = 0 0 0", "Offset = 0 0", "line 5: Offset = 0 0 should be three numbers");
    refuses("Offset = 0 0 0", "Offset", "line 5 should read Key = Value: Offset\\n");
    refuses(
        "Offset",
        "Offset = 1 2 3\nPosition",
        "line 6: Position = 0 0 0 contradicts line 5, Offset = 1 2 3",
    );
    refuses("DimSize = 4 3 2", "Comment = x", "the header has no DimSize");
    refuses(
        "ElementType = MET_SHORT",
        "ElementType = MET_OTHER",
        "line 8: ElementType = MET_OTHER should be one of \
        MET_CHAR, MET_UCHAR, MET_SHORT, MET_USHORT, MET_INT, MET_UINT, MET_LONG_LONG, MET_ULONG_LONG, MET_FLOAT, \
        MET_DOUBLE, MET_LONG, MET_ULONG",
    );
    refuses(
        "ElementType = MET_SHORT",
        "ElementType = \x1b[2J",
        "line 8: ElementType = \\u{1b}[2J should be one of \
        MET_CHAR, MET_UCHAR, MET_SHORT, MET_USHORT, MET_INT, MET_UINT, MET_LONG_LONG, MET_ULONG_LONG, MET_FLOAT, \
        MET_DOUBLE, MET_LONG, MET_ULONG",
    );
    for wrong in ["4 3", "4 3 -2", "4 3 2.5", "4 3 99999999999999999999"] {
        let expected = format!("line 7: DimSize = {wrong} should be three whole numbers");
        refuses("DimSize = 4 3 2", &format!("DimSize = {wrong}"), &expected);
    }
    for wrong in ["4 0 2", "4294967296 4294967296 1", "3037000500 3037000500 1"] {
        let expected = format!(
            "line 7: DimSize = {wrong} should be three numbers above 0 whose voxels fit into the memory"
        );
        refuses("DimSize = 4 3 2", &format!("DimSize = {wrong}"), &expected);
    }
}

#[test]
fn a_geometry_without_places_is_refused() {
    let spacing = |wrong: &str, shown: &str| {
        let expected = format!("the spacing {shown} should be three lengths above 0 mm");
        refuses("Spacing = 1 1 2", &format!("Spacing = {wrong}"), &expected);
    };
    spacing("nan 1 1", "[NaN, 1.0, 1.0]");
    spacing("1 0 1", "[1.0, 0.0, 1.0]");
    spacing("1 1 -2", "[1.0, 1.0, -2.0]");
    spacing("1 1 inf", "[1.0, 1.0, inf]");
    refuses("Offset = 0 0 0", "Offset = 0 nan 0", "the origin [0.0, NaN, 0.0] is no place");
    let flat = scan(&[("Offset = 0 0 0", "TransformMatrix = 1 0 0 0 1 0 1 1 0")], &[0; 48]);
    assert!(message(&flat).contains("is singular (its determinant is 0e0)"), "{}", message(&flat));
}

#[test]
fn slices_in_files_of_their_own_are_refused_by_name() {
    let why =
        "asks for one file per slice, which is not supported; write the scan with its voxels in one file";
    for name in ["LIST", "LIST 2", "slice%03d.raw 0 1 1"] {
        refuses("scan.raw", name, &format!("line 9: ElementDataFile = {name} {why}"));
    }
    refuses("scan.raw", "", "line 9: ElementDataFile =  should name the file with the voxels, or be LOCAL");
}

#[test]
fn a_header_that_is_none() {
    let unended = scan(&[("ElementDataFile = scan.raw\n", "")], &[0; 48]);
    let expected = "scan.mhd: the header ends without ElementDataFile, its last line; is this a MetaImage?";
    assert_eq!(message(&unended), expected);
    fs::write(unended.path().join("scan.mhd"), [0xff, 0xd8, 0xff, 0x00, 0x0a]).unwrap();
    assert!(
        message(&unended).starts_with("scan.mhd: line 1 should read Key = Value: "),
        "{}",
        message(&unended)
    );
    fs::write(unended.path().join("scan.mhd"), "a = b\n".repeat(1 << 18)).unwrap();
    assert_eq!(message(&unended), expected);
    assert!(MetaImage::read("nowhere.mhd").unwrap_err().to_string().starts_with("nowhere.mhd: "));
}

#[test]
fn a_file_of_voxels_that_is_missing_or_has_another_length() {
    let folder = scan(&[("scan.raw", "lost.raw")], &[]);
    let expected = "lost.raw: not found; scan.mhd names it as the file with its voxels";
    assert_eq!(message(&folder), expected);
    let length = |bytes: &[u8]| message(&scan(&[], bytes));
    assert_eq!(
        length(&[0; 47]),
        "scan.raw: shorter than its header scan.mhd says: it holds 47 bytes, 4 x 3 x 2 voxels of MET_SHORT take 48"
    );
    assert_eq!(
        length(&[0; 50]),
        "scan.raw: longer than its header scan.mhd says: it holds 50 bytes, 4 x 3 x 2 voxels of MET_SHORT take 48"
    );
    assert_eq!(
        message(&scan(&[("scan.raw", ".")], &[])),
        ".: is no file; scan.mhd names it as that with its voxels"
    );
    // A small file that promises a large volume costs no memory.
    let promise = scan(&[("4 3 2", "100000 100000 1000")], &[0; 48]);
    assert!(message(&promise).contains("it holds 48 bytes, 100000 x 100000 x 1000 voxels"));
    let skipped = scan(&[("ElementDataFile", "HeaderSize = 8\nElementDataFile")], &[0; 48]);
    assert!(message(&skipped).contains("it holds 40 bytes after its first 8, "), "{}", message(&skipped));
    let nothing = scan(&[("ElementDataFile", "HeaderSize = -2\nElementDataFile")], &[0; 48]);
    assert_eq!(message(&nothing), "scan.mhd: line 9: HeaderSize = -2 should be -1, 0 or more");
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_zlib_stream_that_breaks_or_holds_something_else() {
    let read = |extra: &str, bytes: &[u8]| {
        let compressed = format!("CompressedData = True{extra}");
        let folder = scan(&[("CompressedData = False", &compressed)], bytes);
        MetaImage::read(folder.path().join("scan.mhd"))
            .map(|image| image.data)
            .map_err(|error| error.to_string().replace(&format!("{}/", folder.path().display()), ""))
    };
    let whole: Vec<u8> = (0..48).collect();
    let good = packed(&whole);
    assert_eq!(read("", &good).unwrap(), whole);
    assert_eq!(read(&format!("\nCompressedDataSize = {}", good.len()), &good).unwrap(), whole);

    let message = read("\nCompressedDataSize = 99", &good).unwrap_err();
    let expected = format!(
        "shorter than its header scan.mhd says: it holds {} bytes, CompressedDataSize is 99",
        good.len()
    );
    assert_eq!(message, format!("scan.raw: {expected}"));
    for cut in [0, 1, 30, good.len() - 1] {
        let message = read("", &good[..cut]).unwrap_err();
        assert!(message.starts_with("scan.raw: the zlib stream is cut short after "), "{cut}: {message}");
    }
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1; // in the checksum
    assert!(
        read("", &flipped).unwrap_err().starts_with("scan.raw: the zlib stream breaks after 48 of 48 bytes")
    );
    assert!(
        read("", b"no stream")
            .unwrap_err()
            .starts_with("scan.raw: the zlib stream breaks after 0 of 48 bytes")
    );
    let short = read("", &packed(&whole[..47])).unwrap_err();
    assert_eq!(short, "scan.raw: the zlib stream holds 47 of 48 bytes of voxels");
    // 100 MB of zeros, of which no more than a buffer is unpacked.
    let long = read("", &packed(&vec![0; 100_000_000])).unwrap_err();
    assert_eq!(long, "scan.raw: the zlib stream holds more than the 48 bytes of its header");
    let followed = read("", &[good.clone(), vec![0]].concat()).unwrap_err();
    assert_eq!(followed, "scan.raw: there are 1 bytes behind the zlib stream of the voxels");
    let end = read("\nHeaderSize = -1", &good).unwrap_err();
    assert!(end.starts_with("scan.mhd: line 5: HeaderSize = -1 asks for the end of the file, "), "{end}");
}

/// Whatever byte is lost or changed, there is a scan or a message.
#[test]
fn no_damage_makes_a_panic() {
    for name in ["turned.mhd", "turned.zraw", "msb_double.mha", "turned_float.mha"] {
        let folder = tempfile::tempdir().unwrap();
        for file in ["turned.mhd", "turned.zraw", "msb_double.mha", "turned_float.mha"] {
            fs::copy(crate::file(file), folder.path().join(file)).unwrap();
        }
        let whole = fs::read(crate::file(name)).unwrap();
        let header =
            folder.path().join(name).with_extension(if name.ends_with("mha") { "mha" } else { "mhd" });
        // A header may end without the end of its last line.
        let needed = whole.len() - usize::from(name.ends_with("mhd"));
        for at in 0..whole.len() {
            fs::write(folder.path().join(name), &whole[..at]).unwrap();
            let read = MetaImage::read(&header);
            assert!(read.is_err() || at >= needed, "{name} without its end from byte {at} on");
            for byte in [b'9', b'=', b'\n', 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                fs::write(folder.path().join(name), changed).unwrap();
                let _ = MetaImage::read(&header);
            }
        }
    }
}

#[test]
fn a_voxel_that_is_not_a_number_has_a_place() {
    let mut voxels = [0.5f32; 24];
    voxels[12 + 4 + 3] = f32::NAN;
    let bytes: Vec<u8> = voxels.iter().flat_map(|v| v.to_le_bytes()).collect();
    let folder = scan(&[("MET_SHORT", "MET_FLOAT")], &bytes);
    let message = Ct::read(folder.path().join("scan.mhd")).unwrap_err().to_string();
    assert!(
        message.ends_with("scan.mhd: the voxel [1, 1, 3] (slice, row, column) is not a number"),
        "{message}"
    );
}

/// Puts a good scan into `folder` of `base`.
fn put(base: &Path, folder: &str, name: &str) {
    let folder = base.join(folder);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.mhd")), HEADER.replace("scan.raw", &format!("{name}.raw")))
        .unwrap();
    fs::write(folder.join(format!("{name}.raw")), [7; 48]).unwrap();
}

#[test]
fn a_broken_scan_does_not_keep_the_others_from_use() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path();
    for (folder, name) in [("", "a"), ("subset0", "b"), ("subset9", "c"), ("scans", "d")] {
        put(path, folder, name);
    }
    fs::remove_file(path.join("subset0/b.raw")).unwrap();
    fs::write(path.join("scans/note.txt"), "").unwrap();
    let scans = Scans::open(path).unwrap();
    assert_eq!(scans.series().collect::<Vec<_>>(), ["a", "c", "d"]);
    let [(broken, why)] = scans.broken() else { panic!("{:?}", scans.broken()) };
    assert_eq!(broken, "b");
    assert!(why.to_string().contains("b.raw: not found; "), "{why}");
    assert_eq!(scans.ct("c").unwrap().size, [2, 3, 4]);
    let message = scans.ct("e").unwrap_err().to_string();
    assert!(message.starts_with("the scan e is not in "), "{message}");

    // Tables: the scan that is broken or missing, a place outside, one that repeats.
    let message = scans.join().unwrap_err().to_string();
    assert!(message.starts_with("a table of LUNA16 not found; looked for "), "{message}");
    fs::write(path.join("annotations.csv"), "seriesuid,coordX,coordY,coordZ,diameter_mm\na,1,1,1,5\n")
        .unwrap();
    let rows = "seriesuid,coordX,coordY,coordZ,class\na,1,1,1,1\nb,1,1,1,0\ne,1,1,1,0\nc,1,1,2,0\nc,9,1,2,0\nc,1,1,2,0\n";
    fs::write(path.join("candidates.csv"), rows).unwrap();
    let (joined, left_out) = scans.join().unwrap();
    let found: Vec<_> = joined.iter().map(|c| (c.series_uid.as_str(), c.is_nodule, c.diameter_mm)).collect();
    assert_eq!(found, [("a", true, 5.0), ("c", false, 0.0)]);
    assert_eq!((left_out.no_scan, left_out.outside.0, left_out.repeated.0), ((2, 2), 1, 1));

    fs::write(path.join("candidates.csv"), rows.replace("c,9,1,2,0", "c,9,1,2,nodule")).unwrap();
    let message = scans.join().unwrap_err().to_string();
    assert!(
        message.ends_with("candidates.csv: line 6: class is \"nodule\", should be a number"),
        "{message}"
    );
    fs::write(path.join("annotations.csv"), "seriesuid,coordX,coordY,coordZ,diameter_mm\na,1,1,1,0\n")
        .unwrap();
    let message = scans.annotations().unwrap_err().to_string();
    let expected = "line 2: diameter_mm is \"0\", should be a diameter in mm, or -1 where there is none";
    assert!(message.ends_with(expected), "{message}");
}

#[test]
fn a_folder_without_scans_says_where_they_were_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let message = Scans::open(folder.path()).unwrap_err().to_string();
    assert!(message.starts_with("CT scans (.mhd) not found; looked for "), "{message}");
    assert!(message.contains("subset9/*.mhd"), "{message}");
}
