//! The other lessons' programs: what they are told, and what they say when it is wrong.

use std::fs;
use std::path::Path;
use std::process::Command;

use voxgrad::models::thoracic::{COLUMNS, drawn_patients};

use super::{ended, program};

/// An example's exit code and all that it says, on the CPU, in a folder and with a cache of its own.
fn run(example: &str, base: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program(example));
    command.current_dir(base).env_remove("VOXGRAD_DATA").env("HOME", base).env("XDG_CACHE_HOME", base);
    ended(command.args(arguments).args(["--device", "cpu"]))
}

/// Each is refused with code 2 and a message that begins like this, and leaves no trace.
fn all_refused(example: &str, refused: &[(&[&str], &str)]) {
    let base = tempfile::tempdir().unwrap();
    for (arguments, wanted) in refused {
        let (code, said) = run(example, base.path(), arguments);
        assert!(code == Some(2) && said.starts_with(&format!("error: {wanted}")), "{code:?}: {said}");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0, "{said}");
    }
}

/// `--help` names all of these.
fn help_names(example: &str, names: &[&str]) {
    let base = tempfile::tempdir().unwrap();
    let (code, said) = run(example, base.path(), &["--help"]);
    assert_eq!(code, Some(0), "{said}");
    for name in names {
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn mnist_has_a_command_line_too() {
    let base = tempfile::tempdir().unwrap();
    help_names(
        "mnist",
        &["sigmoid, tanh, relu, leaky-relu, elu or maxout", "--batch-norm", "[default: runs/mnist,"],
    );
    // The lecture's walk through the network.
    let (code, said) = run("mnist", base.path(), &["--summary"]);
    assert_eq!(code, Some(0), "{said}");
    let shapes: Vec<&str> =
        said.lines().filter_map(|line| line.split('[').nth(1)?.split(']').next()).collect();
    let wanted = ["100, 1, 28, 28", "100, 16, 14, 14", "100, 32, 7, 7", "100, 1568", "100, 10"];
    assert!(wanted.iter().all(|shape| shapes.contains(shape)), "{said}");
    assert_eq!((shapes[0], shapes[shapes.len() - 1]), (wanted[0], wanted[4]));
    all_refused(
        "mnist",
        &[
            (
                &["--activation", "swish"],
                "--activation swish: there is none of that name; use sigmoid, tanh,",
            ),
            (&["--optimizer", "lbfgs"], "--optimizer lbfgs: there is none of that name; use sgd, adam"),
            (&["--patience", "0"], "--patience 0: it must be a whole number from 1 up"),
            (&["--compare", "a"], "--compare with 1 directory: give from 2 to 6"),
        ],
    );
    let (code, said) = run("mnist", base.path(), &["--compare", "a", "b"]);
    assert!(
        code == Some(1) && said.contains("config.json") && said.trim_end().lines().count() == 1,
        "{said}"
    );
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}

#[test]
fn cifar10_has_a_command_line_too() {
    help_names("cifar10", &["--augment", "--one-cycle", "cifar-10-batches-bin/", "[default: runs/cifar10]"]);
    all_refused(
        "cifar10",
        &[
            (&["--epochs", "0"], "--epochs 0: it must be a whole number from 1 up"),
            (&["--lr", "-1"], "--lr -1: it must be a finite number above 0"),
        ],
    );
    let base = tempfile::tempdir().unwrap();
    let (code, said) = run("cifar10", base.path(), &["--summary"]);
    assert!(code == Some(0) && said.lines().last().unwrap().contains(" 5,851,338 "), "{said}");
    let (code, said) = run("cifar10", base.path(), &["--data", "nowhere"]);
    assert!(code == Some(1) && said.contains("error: CIFAR-10 not found; looked for nowhere/"), "{said}");
}

#[test]
fn vgg16_has_a_command_line_too() {
    help_names("vgg16", &["--weights <FILE>", "--image <FILE>", "--global-max-pool", "--batch-size <N>"]);
    all_refused(
        "vgg16",
        &[
            (&["--batch-size", "0"], "--batch-size 0: it must be a whole number from 1 up"),
            (&["--image", "cat.png"], "--image: a network with random weights knows no classes"),
            (&["--weights", "w.pth", "--labels", "names.txt"], "--labels: there is nothing to name"),
        ],
    );
    // A VGG16 with few channels, as PyTorch has saved it; and a picture.
    let files = fs::canonicalize("models/tests/vgg").unwrap();
    let file = |name: &str| files.join(name).display().to_string();
    let (weights, photo) = (file("vgg16.pth"), file("turned.jpg"));
    let base = tempfile::tempdir().unwrap();
    let vgg16 = |arguments: &[&str]| run("vgg16", base.path(), arguments);

    let (code, said) = vgg16(&["--weights", &weights, "--image", &photo]);
    assert!(code == Some(0) && said.contains("Image: 40 x 60 pixels"), "{said}");
    assert_eq!(said.lines().filter(|line| line.contains("%  class ")).count(), 5, "{said}");
    let (code, said) = vgg16(&["--weights", &weights]);
    assert!(code == Some(0) && said.contains("features.28") && said.contains("\nA forward pass: "), "{said}");

    for (arguments, wanted) in [
        (["--weights", &weights, "--image", "no/such.png"], "no/such.png: "),
        (["--weights", "no/such.pth", "--image", &photo], "no/such.pth: "),
        (["--weights", &weights, "--image", &weights], "neither a PNG nor a JPEG file"),
        (["--weights", &photo, "--image", &photo], "turned.jpg: "),
    ] {
        let (code, said) = vgg16(&arguments);
        let error = said.lines().last().unwrap();
        assert!(code == Some(1) && error.starts_with("error: ") && error.contains(wanted), "{said}");
    }
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
}

#[test]
fn thoracic_has_a_command_line_too() {
    help_names("thoracic", &["binary_crossentropy, ", "sgd, adam, adamw, rmsprop, adagrad", "--standardise"]);
    all_refused(
        "thoracic",
        &[
            (&["--epochs", "0"], "--epochs 0: it must be a whole number from 1 up"),
            (&["--loss", "hinge"], "--loss: there is no loss \"hinge\""),
            (&["--loss", "mape"], "--loss mean_absolute_percentage_error: it is not for one output"),
            (&["--optimizer", "newton"], "there is no optimizer \"newton\"; there are sgd, adam,"),
        ],
    );
    let base = tempfile::tempdir().unwrap();
    let thoracic = |arguments: &[&str]| run("thoracic", base.path(), arguments);
    let (code, said) = thoracic(&["--data", "."]);
    assert!(code == Some(1) && said.contains("error: the table of thoracic surgery not found"), "{said}");

    // No table anywhere.
    let (code, said) = thoracic(&["--epochs", "2"]);
    assert_eq!(code, Some(0), "{said}");
    for wanted in
        ["drawn by voxgrad itself: no real people", "Epoch 2", "Always answering \"survives\" gives"]
    {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
    let (code, said) = thoracic(&["--epochs", "3", "--resume"]);
    assert!(code == Some(0) && said.contains("Epoch 3") && !said.contains("Epoch 2,"), "{said}");

    // One with a slip in it.
    let patients = drawn_patients(0, String::new());
    let line = |i: usize| patients.attributes[i].map(|x| x.to_string()).join(",") + ",0\r\n";
    let table = line(0) + "\r\n" + &line(1).replacen(',', ",many,", 1);
    fs::write(base.path().join("ThoracicSurgery3.csv"), table).unwrap();
    let (code, said) = thoracic(&["--data", ".", "--out", "other"]);
    let wanted = format!("ThoracicSurgery3.csv: line 3: it has 18 columns, not {}", COLUMNS.len());
    assert!(code == Some(1) && said.contains(&wanted), "{said}");
}

#[test]
fn luna_has_a_command_line_too() {
    let base = tempfile::tempdir().unwrap();
    let luna = |arguments: &[&str]| {
        let mut command = Command::new(program("luna"));
        command.current_dir(base.path()).env_remove("VOXGRAD_DATA").env("HOME", base.path());
        ended(command.env("XDG_CACHE_HOME", base.path()).args(arguments))
    };
    for (command, names) in [
        (
            "train",
            &["--balanced", "--augment-flip", "--split", "--tb-prefix", "--cache-limit", "[COMMENT]"][..],
        ),
        ("prep-cache", &["--data", "--cache <DIR>", "--num-workers"]),
        ("phantom", &["--scans", "--out <DIR>", "--candidates"]),
        ("classify", &["--scan <FILE>", "--candidates <CSV>", "--weights"]),
        ("look", &["--weights", "--nodules"]),
    ] {
        let (code, said) = luna(&[command, "--help"]);
        assert_eq!(code, Some(0), "{said}");
        names.iter().for_each(|name| assert!(said.contains(name), "{name}: {said}"));
    }
    for (arguments, wanted) in [
        (&["train", "--epochs", "0"][..], "--epochs 0: it must be a whole number from 1 up"),
        (&["train", "--augmented"], "the lesson's second half has every augmentation; give --balanced or"),
        (&["train", "--cache-limit", "-1"], "--cache-limit -1: it must be GiB from 0 to 1000000"),
        (&["phantom", "--scans", "0", "--out", "p"], "--scans 0: it must be a whole number from 1 up"),
    ] {
        let (code, said) = luna(arguments);
        assert!(code == Some(2) && said.starts_with(&format!("error: {wanted}")), "{said}");
    }
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);

    let (code, said) = luna(&["phantom", "--scans", "1", "--candidates", "20", "--out", "scans"]);
    assert!(code == Some(0) && said.contains("1 scans and their tables are in scans"), "{said}");
    let (code, said) = luna(&["phantom", "--scans", "1", "--out", "scans"]);
    assert!(code == Some(1) && said.contains("error: ") && said.contains("scans"), "{said}");
    let (code, said) = luna(&["classify", "--scan", "x.mhd", "--candidates", "scans/candidates.csv"]);
    assert!(code == Some(1) && said.contains("runs/luna/balanced/best.safetensors: "), "{said}");
    let (code, said) = luna(&["train", "--data", "nowhere"]);
    assert!(
        code == Some(1) && said.contains("error: CT scans (.mhd) not found; looked for nowhere/"),
        "{said}"
    );
}
