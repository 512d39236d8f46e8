//! The CUDA device: what it refuses, what it reports, what it keeps on disk.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use voxgrad_engine::{DType, Device, Tensor};
use voxgrad_kernels::device::CudaDevice;
use voxgrad_kernels::{Error, Storage};

/// The device, or nothing where there is none (a failure when `VOXGRAD_REQUIRE` names cuda).
fn gpu() -> Option<(Device, CudaDevice)> {
    let device = common::devices::find("cuda")?;
    let Device::Cuda(gpu) = device.clone() else { panic!("{device} is no CUDA device") };
    Some((device, gpu))
}

/// One test of this file, in a process of its own, with these variables.
fn alone(test: &str, variables: &[(&str, &Path)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("VOXGRAD_TEST_CHILD", "1");
    for (name, value) in variables {
        command.env(name, value);
    }
    command.output().unwrap()
}

fn is_child() -> bool {
    std::env::var_os("VOXGRAD_TEST_CHILD").is_some()
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

#[test]
fn buffers_come_back_as_they_went() {
    let Some((device, _)) = gpu() else { return };
    // The last is larger than what is copied at a time, and no multiple of it.
    for n in [0, 1, 3, 1000, (3 << 20) + 5] {
        let floats: Vec<f32> = (0..n).map(|i| i as f32 - 7.5).collect();
        let mut storage = Storage::from_slice(&device, &floats).unwrap();
        assert_eq!(storage.to_vec::<f32>().unwrap(), floats);
        assert_eq!(storage.copy().unwrap().to_vec::<f32>().unwrap(), floats);
        let labels: Vec<u32> = (0..n).map(|i| u32::MAX - i as u32).collect();
        let words = Storage::from_slice(&device, &labels).unwrap();
        assert_eq!(words.to_vec::<u32>().unwrap(), labels);
        assert!(words.to_vec::<f32>().is_err());
        let zeros = Storage::zeros(&device, DType::U32, n).unwrap();
        assert_eq!(zeros.to_vec::<u32>().unwrap(), vec![0; n]);

        // Over an old one, from here and from there.
        storage.copy_from(&Storage::zeros(&Device::cpu(), DType::F32, n).unwrap()).unwrap();
        assert_eq!(storage.to_vec::<f32>().unwrap(), vec![0.0; n]);
        storage.copy_from(&Storage::from_slice(&device, &floats).unwrap()).unwrap();
        assert_eq!(storage.to_vec::<f32>().unwrap(), floats);
        assert!(storage.copy_from(&words).is_err());
        assert!(storage.copy_from(&Storage::from_slice(&device, &vec![0.0f32; n + 1]).unwrap()).is_err());
    }
}

#[test]
fn several_buffers_are_read_at_once() {
    let Some((device, _)) = gpu() else { return };
    let tensors: Vec<Tensor> =
        (0..5u32).map(|n| Tensor::new(&vec![n; n as usize], [n as usize], &device).unwrap()).collect();
    let wanted: Vec<u32> = (0..5).flat_map(|n| vec![n; n as usize]).collect();
    assert_eq!(Tensor::read_all::<u32>(&tensors).unwrap(), wanted);
    assert!(Tensor::read_all::<f32>(&tensors).is_err());
}

/// Nothing is waited for, and what is uploaded may be overwritten at once.
#[test]
fn an_upload_comes_after_the_launches_before_it() {
    let Some((device, _)) = gpu() else { return };
    let ones = Tensor::full(1.0, [1 << 16], DType::F32, &device).unwrap();
    let doubled = ones.mul_scalar(2.0).unwrap();
    drop(ones);
    let mut host = vec![5.0f32; 1 << 16];
    let fives = Tensor::new(&host, [1 << 16], &device).unwrap();
    host.fill(0.0);
    // More uploads than may be on their way, and more than the memory they go through.
    let many: Vec<Storage> = (0..100u32)
        .map(|i| {
            host.fill(i as f32);
            Storage::from_slice(&device, &host).unwrap()
        })
        .collect();
    assert_eq!(doubled.to_vec::<f32>().unwrap(), vec![2.0; 1 << 16]);
    assert_eq!(fives.to_vec::<f32>().unwrap(), vec![5.0; 1 << 16]);
    for (i, storage) in many.iter().enumerate() {
        assert_eq!(storage.to_vec::<f32>().unwrap(), vec![i as f32; 1 << 16]);
    }
}

#[test]
fn opening_it_twice_gives_one_device() {
    let Some((device, gpu)) = gpu() else { return };
    assert_eq!(Device::by_name("cuda:0").unwrap(), device);
    assert_eq!(Device::cuda(0).unwrap(), device);
    assert_eq!(device.to_string(), format!("cuda:0 ({})", gpu.name()));
    assert_eq!(Device::best(), device);
}

#[test]
fn threads_share_it() {
    let Some((device, _)) = gpu() else { return };
    let work = |thread: u32| {
        for i in 0..50 {
            let x = Tensor::full(f64::from(thread), [1000 + i], DType::F32, &device).unwrap();
            let y =
                x.add(&Tensor::full(f64::from(i as u32), [1000 + i], DType::F32, &device).unwrap()).unwrap();
            assert_eq!(y.to_vec::<f32>().unwrap(), vec![(thread + i as u32) as f32; 1000 + i]);
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|thread| drop(scope.spawn(move || work(thread)))));
}

fn refuses<T: std::fmt::Debug>(result: Result<T, impl std::fmt::Display + std::fmt::Debug>, words: &[&str]) {
    let message = result.unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "{word:?} is not in: {message}");
    }
}

#[test]
fn what_it_cannot_do_is_an_error_with_a_way_out() {
    let Some((device, gpu)) = gpu() else { return };
    refuses(Tensor::zeros([2], DType::F64, &device), &["f64", "f32 or u32", "to_dtype"]);
    refuses(Device::by_name("cuda:99"), &["cuda:99", "there is no GPU of that number", "0: ", gpu.name()]);

    let here = Tensor::zeros([2], DType::F32, &Device::cpu()).unwrap();
    let there = Tensor::zeros([2], DType::F32, &device).unwrap();
    refuses(here.add(&there), &["add", "cpu", gpu.name(), ".to(&device)"]);
    refuses(there.matmul(&here), &["matmul"]);
}

/// It says how much was asked for and is in use, and the device goes on.
#[test]
fn too_little_memory_is_an_error_with_amounts() {
    let Some((device, gpu)) = gpu() else { return };
    let first = Tensor::full(1.0, [1000], DType::F32, &device).unwrap();
    let most = u32::MAX as usize;
    let mut held = Vec::new();
    let error = loop {
        match Storage::empty(&device, DType::F32, most) {
            Ok(storage) => held.push(storage),
            Err(error) => break error,
        }
        assert!(held.len() as u64 * 4 * most as u64 <= gpu.max_buffer_bytes());
    };
    let Error::OutOfMemory { asked, in_use, .. } = &error else { panic!("{error}") };
    assert_eq!(*asked, 4 * most as u64);
    assert!(*in_use >= 4000 + held.len() as u64 * asked, "{error}");
    refuses::<()>(Err(error), &["out of memory on cuda:0", "17179869180 bytes asked for"]);
    drop(held);
    assert_eq!(first.add(&first).unwrap().to_vec::<f32>().unwrap(), [2.0; 1000]);
}

/// What `KERNEL_LOG` prints, in a process of its own.
#[test]
fn kernel_log_shows_launches_times_and_sources() {
    if gpu().is_none() {
        return;
    }
    let log = |level: &str| {
        let output = alone("buffers_come_back_as_they_went", &[("KERNEL_LOG", Path::new(level))]);
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    let launch = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("fill Fill { n: 1000, bits: 0 }"));
        line.unwrap_or_else(|| panic!("{text}")).to_string()
    };
    assert!(!log("0").contains("fill Fill"));
    assert!(launch(&log("1")).ends_with("groups 4 buffers [1000]"));
    let timed = launch(&log("2"));
    assert!(timed.contains(" us, ") && timed.ends_with(" GB/s"), "{timed}");
    let whole = log("3");
    assert!(whole.contains("// elementwise.cu") && whole.contains("void fill("), "{whole}");
}

/// For `alone`: the device, or why there is none, and a launch.
#[test]
fn child() {
    if !is_child() {
        return;
    }
    match Device::by_name(&std::env::var("VOXGRAD_TEST_DEVICE").unwrap_or("cuda".into())) {
        Ok(device) => {
            let ones = Tensor::full(1.0, [3], DType::F32, &device).unwrap();
            assert_eq!(ones.to_vec::<f32>().unwrap(), [1.0; 3]);
            println!("opened: {device}");
        }
        Err(error) => println!("refused: {error}"),
    }
    // It must not panic, whatever is missing.
    println!("best: {}", Device::best());
}

/// The files of a cache with their contents, in order.
fn files(cache: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// Compiled once and kept; what is damaged, or not what its name says, is compiled again and replaced.
#[test]
fn machine_code_is_kept_and_not_trusted() {
    if gpu().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("new").join("cache");
    let run = |cache: &Path| {
        let output = alone("child", &[("VOXGRAD_CUDA_CACHE", cache)]);
        assert!(output.status.success() && text(&output).contains("opened: cuda:0"), "{}", text(&output));
    };
    // Two processes at once.
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(|| run(&cache)))));
    let kept = files(&cache);
    assert!(
        kept.iter().all(|(path, _)| path.extension().is_some_and(|ending| ending == "cubin")),
        "{kept:?}"
    );
    let times = || files(&cache).iter().map(|(path, _)| path.metadata().unwrap().modified().unwrap()).max();
    let before = times();
    run(&cache);
    assert_eq!(times(), before, "it was compiled again");

    for (path, whole) in &kept {
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        std::fs::write(path, damaged).unwrap();
    }
    run(&cache);
    let names = |files: &[(PathBuf, Vec<u8>)]| files.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    assert_eq!(names(&files(&cache)), names(&kept));
    let whole = files(&cache);

    // Whole files in each other's place.
    let names = names(&kept);
    assert!(names.len() >= 2, "{names:?}");
    for (i, name) in names.iter().enumerate() {
        std::fs::write(name, &whole[(i + 1) % whole.len()].1).unwrap();
    }
    run(&cache);
    for ((path, now), (_, before)) in files(&cache).iter().zip(&whole) {
        assert_eq!(now.len(), before.len(), "{path:?}");
    }
}

/// The driver runs out of memory when it loads a module: once, then what waits in the pool is freed; for good,
/// then the message says so.
#[test]
fn a_module_that_finds_no_memory() {
    let Some((_, gpu)) = gpu() else { return };
    if !gpu.name().contains("cudasim") {
        return;
    }
    let run = |fail: &str| text(&alone("child", &[("CUDASIM_FAIL", Path::new(fail))]));
    for once in ["module:1", "module:2"] {
        let said = run(once);
        assert!(said.contains("opened: cuda:0"), "{said}");
    }
    let said = run("module:1+");
    assert!(said.contains("refused: ") && said.contains("out of memory on cuda:0"), "{said}");
    assert!(said.contains("the driver itself needed some"), "{said}");
}

/// A device that does not start is tried again when it is asked for again.
#[test]
fn a_device_that_finds_no_memory() {
    let Some((_, gpu)) = gpu() else { return };
    if !gpu.name().contains("cudasim") {
        return;
    }
    for fail in ["alloc:1", "alloc:2"] {
        let said = text(&alone("child", &[("CUDASIM_FAIL", Path::new(fail))]));
        assert!(said.contains("refused: ") && said.contains("CUDA_ERROR_OUT_OF_MEMORY"), "{said}");
        assert!(said.contains("best: cuda:0"), "{said}");
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without() {
    if gpu().is_none() {
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    for cache in [&file.path().join("below a file"), Path::new(""), Path::new("0")] {
        let output = alone("child", &[("VOXGRAD_CUDA_CACHE", cache)]);
        assert!(output.status.success() && text(&output).contains("opened: cuda:0"), "{}", text(&output));
    }
    assert!(!Path::new("0").exists());
}

/// Each library missing in turn, without the other's being taken for it. On a machine whose driver lies where the system
/// finds it by itself, nothing can be missing.
#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str, libraries: &[&str]| {
        let to = folder.path().join(name);
        std::fs::create_dir(&to).unwrap();
        for library in libraries {
            let found = std::env::var("LD_LIBRARY_PATH").ok().and_then(|paths| {
                std::env::split_paths(&paths).map(|path| path.join(library)).find(|path| path.exists())
            });
            if let Some(found) = found {
                std::fs::copy(found, to.join(library)).unwrap();
            }
        }
        to
    };
    let run = |folder: &Path, more: &[(&str, &str)]| {
        let mut variables = vec![("LD_LIBRARY_PATH", folder)];
        variables.extend(more.iter().map(|(name, value)| (*name, Path::new(*value))));
        let output = alone("child", &variables);
        assert!(output.status.success() && text(&output).contains("best: "), "{}", text(&output));
        text(&output)
    };
    let says = |text: &str, words: &[&str]| {
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
    };
    let nothing = run(&place("nothing", &[]), &[]);
    if nothing.contains("opened: ") || nothing.contains("there is ") {
        common::say("skipped, nothing is missing: the system finds CUDA by itself");
        return;
    }
    says(&nothing, &["refused: device cuda:0", "libcuda.so.1", "install the driver", "NVRTC is needed too"]);
    let Some((_, gpu)) = gpu() else { return };
    let driver = ["libcuda.so.1"];
    let nvrtc = ["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"];
    let only = run(&place("driver", &driver), &[]);
    says(
        &only,
        &[
            "refused",
            "there is an NVIDIA driver, but NVRTC",
            "libnvrtc.so.13",
            "pip install nvidia-cuda-nvrtc",
        ],
    );
    let only = run(&place("nvrtc", &nvrtc), &[]);
    says(&only, &["refused", "there is NVRTC, but the NVIDIA driver was not found", "libcuda.so.1"]);

    // What the simulator can play besides; a real driver cannot.
    if !gpu.name().starts_with("cudasim") {
        return;
    }
    let both = place("both", &[&driver[..], &nvrtc[..]].concat());
    let old = run(&both, &[("CUDASIM_DRIVER_VERSION", "11080")]);
    says(&old, &["refused", "too old", "CUDA 11.8", "12.0 is needed"]);
    says(&run(&both, &[("CUDASIM_DRIVER_VERSION", "12000")]), &["opened: cuda:0"]);
    says(&run(&both, &[("CUDASIM_DEVICES", "0")]), &["refused", "sees no GPU"]);
    let two = [("CUDASIM_DEVICES", "2"), ("VOXGRAD_TEST_DEVICE", "cuda:2")];
    says(&run(&both, &two), &["refused", "cuda:2", "there are 0: ", ", 1: "]);
    says(&run(&both, &[("CUDASIM_DEVICES", "2"), ("VOXGRAD_TEST_DEVICE", "cuda:1")]), &["opened: cuda:1"]);
    says(&run(&both, &[("CUDASIM_ARCH", "61")]), &["refused", "cannot compile for the card's sm_61"]);
}
