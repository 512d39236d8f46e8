//! The same in PyTorch, if that is installed.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

/// What PyTorch took.
#[derive(Debug, Clone, Deserialize)]
pub struct Torch {
    /// The median, in seconds.
    pub seconds: f64,
    /// Its version.
    pub version: String,
    /// How many threads it had.
    pub threads: usize,
}

/// Times `expression`, in Python, of tensors `t` of these shapes, by the program `script`. The Python is
/// `VOXGRAD_PYTHON`, else `python3`.
///
/// # Errors
/// Why there is no time, in a line.
pub fn torch(script: &Path, expression: &str, shapes: &[&[usize]]) -> Result<Torch, String> {
    if expression.is_empty() {
        return Err("PyTorch has no such function by itself".into());
    }
    let python = std::env::var_os("VOXGRAD_PYTHON").unwrap_or_else(|| OsString::from("python3"));
    let mut command = Command::new(&python);
    command.arg(script).args(["--expression", expression, "--shapes", &format!("{shapes:?}")]);
    let python = python.to_string_lossy();
    let output = command.output().map_err(|error| format!("{python} can't be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
        return Err(match last.contains("No module named 'torch'") {
            true => format!("{python} has no PyTorch; VOXGRAD_PYTHON names another Python"),
            false => format!("{python} {}: {last}", script.display()),
        });
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("{}: {error}", script.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_a_line() {
        assert!(torch(Path::new("none.py"), "", &[]).unwrap_err().contains("no such function"));
        let error = torch(Path::new("no/such/script.py"), "t[0]", &[&[2, 3]]).unwrap_err();
        assert!(!error.is_empty() && error.lines().count() == 1, "{error}");
    }
}
