//! The programs of the examples, as a user runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The programs of the examples, built like this test; or those in the folder that `VOXGRAD_EXAMPLES`
/// names, where there is no cargo.
pub fn program(example: &str) -> PathBuf {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    let programs = PROGRAMS.get_or_init(|| {
        if let Some(built) = std::env::var_os("VOXGRAD_EXAMPLES") {
            return built.into();
        }
        let this = std::env::current_exe().unwrap(); // target/<profile>/deps/training-<hash>
        let profile = this.parent().and_then(Path::parent).unwrap();
        let name = if profile.ends_with("release") { "release" } else { "test" };
        let mut cargo = Command::new(env!("CARGO"));
        // All packages, as the tests of all were built: for fewer some dependencies would be built once more.
        cargo.args(["build", "--quiet", "--workspace", "--examples", "--profile", name]);
        // What cargo tells a test about its package would make some build scripts run again.
        for (key, _) in std::env::vars_os().filter(|(key, _)| about_package(&key.to_string_lossy())) {
            cargo.env_remove(key);
        }
        assert!(cargo.status().unwrap().success());
        profile.join("examples")
    });
    programs.join(example).with_extension(std::env::consts::EXE_EXTENSION)
}

fn about_package(key: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"].iter().any(|start| key.starts_with(start))
}

/// A program's exit code and all that it says.
pub fn ended(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
}
