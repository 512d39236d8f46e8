#[path = "../../../../tests/common/require.rs"]
mod require;

use super::*;

fn crop(first: f32) -> Crop {
    let hu = (0..24).map(|i| if i == 0 { first } else { i as f32 * 40.0 - 500.0 }).collect();
    Crop { hu, size: [2, 3, 4], start: [7, 0, 300] }
}

fn key(index: i64) -> Key {
    Key { scan: 0xabc, centre: [index, 24, 24] }
}

#[test]
fn what_was_kept_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CropCache::open(folder.path().join("new/cache"), 1 << 20).unwrap();
    assert_eq!(cache.get(&key(1)), None);
    for (i, first) in [-1000.0, 12.5, f32::MIN_POSITIVE].into_iter().enumerate() {
        cache.put(&key(i as i64), &crop(first));
        assert_eq!(cache.get(&key(i as i64)).unwrap(), crop(first));
    }
    assert_eq!(cache.get(&Key { scan: 0xabd, ..key(0) }), None, "another scan");
    assert!(cache.has(&key(0), [2, 3, 4]) && cache.has(&key(1), [2, 3, 4]));
    assert!(!cache.has(&key(0), [2, 4, 3]) && !cache.has(&key(9), [2, 3, 4]));
    let used = cache.used();
    assert_eq!(used, 3 * 36 + 24 * (2 + 4 + 4));
    assert_eq!(CropCache::open(cache.folder(), 1 << 20).unwrap().used(), used);
    assert_eq!(cache.notes(), [""; 0]);
}

#[test]
fn a_file_that_is_not_whole_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CropCache::open(folder.path(), 1 << 20).unwrap();
    cache.put(&key(1), &crop(1.0));
    let path = cache.path(&key(1));
    let good = fs::read(&path).unwrap();
    // Every length, every byte: of another version, another type, other sizes, other voxels.
    let cut = (0..good.len()).map(|length| good[..length].to_vec());
    let changed = (0..good.len()).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    });
    let longer = [[&good[..], &[0]].concat()];
    let mut files = 0;
    for bytes in cut.chain(changed).chain(longer) {
        fs::write(&path, &bytes).unwrap();
        assert_eq!(cache.get(&key(1)), None, "{bytes:?}");
        let whole = bytes.len() == good.len() && bytes[..20] == good[..20];
        assert_eq!(cache.has(&key(1), [2, 3, 4]), whole, "{bytes:?}");
        files += 1;
    }
    let notes = cache.notes();
    assert_eq!(notes.len(), 1);
    let said = format!("{files} files of another version, cut short or damaged; made anew");
    assert!(notes[0].ends_with(&said), "{notes:?}");
    cache.put(&key(1), &crop(1.0));
    assert_eq!((cache.get(&key(1)).unwrap(), cache.notes().len()), (crop(1.0), 0));
}

#[test]
fn a_full_cache_says_so_once_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CropCache::open(folder.path(), 200).unwrap();
    (0..5).for_each(|i| cache.put(&key(i), &crop(1.0)));
    assert_eq!((cache.used(), cache.is_open()), (2 * 84, false));
    assert!(cache.get(&key(1)).is_some() && cache.get(&key(2)).is_none());
    let notes = cache.notes();
    assert!(notes.len() == 1 && notes[0].contains("its limit of 200 bytes"), "{notes:?}");
}

#[test]
fn a_disk_that_refuses_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CropCache::open(folder.path(), 1 << 20).unwrap();
    cache.put(&key(1), &crop(1.0));
    // Where the next scan's folder should be, there is a file.
    let scan = Key { scan: 5, ..key(1) };
    fs::write(cache.path(&scan).parent().unwrap(), "").unwrap();
    cache.put(&scan, &crop(1.0));
    cache.put(&key(2), &crop(1.0));
    let notes = cache.notes();
    assert!(notes.len() == 1 && notes[0].contains("Nothing more is kept there"), "{notes:?}");
    assert!(cache.get(&key(1)).is_some() && cache.get(&key(2)).is_none());
    assert_eq!(cache.used(), 84);
}

/// On a real disk, of 256 kB, in a mount namespace of its own. Not every user may have one: then the test is
/// left out.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_no_error() {
    use std::process::Command;

    const FOLDER: &str = "VOXGRAD_TEST_FULL_DISK";
    const NAME: &str = "luna::crop_cache::tests::a_disk_that_fills_up_is_no_error";
    if let Some(folder) = std::env::var_os(FOLDER) {
        let big = |index: i64| Crop { hu: vec![index as f32; 20_000], size: [20, 20, 50], start: [0; 3] };
        let cache = CropCache::open(folder, 1 << 40).unwrap();
        (0..20).for_each(|i| cache.put(&key(i), &big(i)));
        let notes = cache.notes();
        assert!(notes.len() == 1 && notes[0].contains("No space left on device"), "{notes:?}");
        assert!(notes[0].contains("Nothing more is kept there") && !cache.is_open(), "{notes:?}");
        let kept = (0..20).take_while(|&i| cache.get(&key(i)) == Some(big(i))).count();
        assert!((1..20).contains(&kept) && cache.notes().is_empty(), "{kept}");
        let scan = cache.path(&key(0)).parent().unwrap().to_path_buf();
        assert_eq!(fs::read_dir(scan).unwrap().count(), kept, "nothing half written is left");
        assert_eq!(cache.used(), (kept * (HEADER + 40_000)) as u64);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // With the rights of root, or with those that a user has in a namespace of users too.
    let on_small_disk = |options: &'static [&str], command: &str| {
        let script = format!("mount -t tmpfs -o size=256k tmpfs \"$0\" && {command}");
        let mut unshare = Command::new("unshare");
        unshare.args(options).args(["sh", "-c", &script]).arg(folder.path());
        unshare
    };
    let ways: [&[&str]; 2] = [&["--mount"], &["--mount", "--map-root-user"]];
    let allowed = |way: &&&'static [&str]| {
        on_small_disk(way, "true").output().is_ok_and(|output| output.status.success())
    };
    let Some(way) = ways.iter().find(allowed) else {
        require::say("skipped, needs a small disk: this user may not mount one");
        return;
    };
    let mut child = on_small_disk(way, "exec \"$1\" --exact \"$2\"");
    child.arg(std::env::current_exe().unwrap()).arg(NAME).env(FOLDER, folder.path());
    let output = child.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn leftovers_of_a_killed_process_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let cache = CropCache::open(folder.path(), 1 << 20).unwrap();
    cache.put(&key(1), &crop(1.0));
    let scan = cache.path(&key(1)).parent().unwrap().to_path_buf();
    let (old, new) = (scan.join(".unfinished-old"), scan.join(".unfinished-new"));
    fs::write(&new, "half").unwrap();
    fs::write(&old, "half").unwrap();
    let file = File::options().write(true).open(&old).unwrap();
    file.set_modified(SystemTime::now() - 2 * ABANDONED).unwrap();
    let cache = CropCache::open(folder.path(), 1 << 20).unwrap();
    assert!(!old.exists() && new.exists(), "another process may be writing the new one");
    assert_eq!(cache.used(), 84 + 4);
    assert_eq!(cache.get(&key(1)).unwrap(), crop(1.0));
}

/// Two processes at a time write the same crops and are killed, again and again: whatever has a name
/// afterwards is whole.
#[test]
fn killed_at_any_moment() {
    const FOLDER: &str = "VOXGRAD_TEST_CROP_CACHE";
    let big = |index: i64| Crop { hu: vec![index as f32; 20_000], size: [20, 20, 50], start: [0; 3] };
    if let Some(folder) = std::env::var_os(FOLDER) {
        let cache = CropCache::open(folder, 1 << 40).unwrap();
        for i in (0..100).cycle() {
            cache.put(&key(i), &big(i));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    for round in 0..5 {
        let mut children: Vec<_> = (0..2)
            .map(|_| {
                let mut child = std::process::Command::new(std::env::current_exe().unwrap());
                child.args(["--exact", "luna::crop_cache::tests::killed_at_any_moment"]);
                child.env(FOLDER, folder.path()).stdout(std::process::Stdio::null()).spawn().unwrap()
            })
            .collect();
        // Some crops into the first round, and at another moment each time.
        let begun = (0..30_000).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            fs::read_dir(folder.path()).is_ok_and(|mut scans| scans.next().is_some())
        });
        assert!(begun);
        std::thread::sleep(Duration::from_millis(20 + 7 * round));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let cache = CropCache::open(folder.path(), 1 << 40).unwrap();
        let scan = cache.path(&key(0)).parent().unwrap().to_path_buf();
        let names = fs::read_dir(&scan).unwrap().map(|file| file.unwrap().file_name());
        let named = names.filter(|name| name.to_string_lossy().ends_with(".crop")).count();
        let there = (0..100).filter_map(|i| Some((i, cache.get(&key(i))?)));
        let whole = there.filter(|(i, crop)| *crop == big(*i)).count();
        assert!(whole == named && whole > 0, "{whole} of {named}");
        assert_eq!(cache.notes(), [""; 0]);
    }
}
