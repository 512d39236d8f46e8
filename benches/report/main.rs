//! Writes one table of everything that `scripts/gpu.sh` left in a folder:
//!
//! ```text
//! report FOLDER OUT      FOLDER holds about.txt, tests.tsv, criterion/, torch.json, left_out.txt;
//!                        OUT.md and OUT.json are written
//! ```
//! What is missing in the folder is missing in the table.

mod markdown;
mod read;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, out] = &arguments[..] else {
        eprintln!("report FOLDER OUT: writes OUT.md and OUT.json of what scripts/gpu.sh left in FOLDER");
        return ExitCode::from(2);
    };
    match write(Path::new(folder), out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path, out: &str) -> std::io::Result<()> {
    let results = read::folder(folder)?;
    std::fs::write(format!("{out}.md"), markdown::of(&results))?;
    std::fs::write(format!("{out}.json"), serde_json::to_string_pretty(&results)? + "\n")
}
