//! What `scripts/gpu.sh` left in its folder.

use std::fs;
use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All that was found out.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// The card, the driver, the date: lines of `name: value`.
    pub about: Vec<(String, String)>,
    pub tests: Vec<Tests>,
    /// voxgrad's times.
    pub times: Vec<Time>,
    pub torch: Option<Torch>,
    /// What was not done, and why.
    pub left_out: Vec<String>,
}

/// One test program.
#[derive(Debug, PartialEq, Serialize)]
pub struct Tests {
    pub program: String,
    /// `passed`, `failed`, or what stopped it.
    pub outcome: String,
    pub passed: u32,
    pub failed: u32,
    pub seconds: f64,
}

/// The median time of a bench.
#[derive(Debug, PartialEq, Serialize)]
pub struct Time {
    pub group: String,
    pub function: String,
    pub what: String,
    pub seconds: f64,
    /// Floating-point operations, where they are counted.
    pub flops: Option<u64>,
}

/// What `benches/peers/torch_gpu.py` measured.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Torch {
    pub torch: String,
    pub cuda: Option<String>,
    pub cudnn: Option<u64>,
    pub device: String,
    pub rows: Vec<Row>,
    pub left_out: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    pub way: String,
    pub tf32: bool,
    pub group: String,
    pub function: String,
    pub what: String,
    pub seconds: f64,
}

pub fn folder(folder: &Path) -> Result<Results> {
    let lines = |name: &str| lines(&folder.join(name));
    let about = lines("about.txt")?;
    let about = about.iter().filter_map(|line| line.split_once(": "));
    let torch = match fs::read_to_string(folder.join("torch.json")) {
        Ok(text) => Some(serde_json::from_str(&text)?),
        Err(_) => None,
    };
    let mut files = Vec::new();
    for path in files_called(&folder.join("criterion"), "benchmark.json")? {
        files.push((fs::metadata(&path)?.modified()?, path));
    }
    // In the order in which they were measured, which is that of the benches.
    files.sort();
    let times: Vec<_> = files.iter().map(|(_, path)| time(path)).collect::<Result<_>>()?;
    Ok(Results {
        about: about.map(|(name, value)| (name.into(), value.into())).collect(),
        tests: lines("tests.tsv")?.iter().map(|line| tests(line)).collect::<Result<_>>()?,
        times: times.into_iter().flatten().collect(),
        torch,
        left_out: lines("left_out.txt")?,
    })
}

/// The lines of a file; none of one that isn't there.
fn lines(path: &Path) -> Result<Vec<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter(|line| !line.trim().is_empty()).map(String::from).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::new(error.kind(), format!("{}: {error}", path.display()))),
    }
}

/// `program outcome passed failed seconds`, between tabs.
fn tests(line: &str) -> Result<Tests> {
    let wrong = || Error::other(format!("tests.tsv: {line:?} is not five fields"));
    let [program, outcome, passed, failed, seconds] =
        line.split('\t').collect::<Vec<_>>()[..].try_into().map_err(|_| wrong())?;
    Ok(Tests {
        program: program.into(),
        outcome: outcome.into(),
        passed: passed.parse().map_err(|_| wrong())?,
        failed: failed.parse().map_err(|_| wrong())?,
        seconds: seconds.parse().map_err(|_| wrong())?,
    })
}

/// All files of this name under `dir`, in the folders called `new`: criterion keeps older runs in others.
fn files_called(dir: &Path, name: &str) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_called(&path, name)?);
        } else if path.ends_with(Path::new("new").join(name)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// What criterion wrote about one bench: `benchmark.json` says what it is, `estimates.json` its time. None
/// where it was stopped in between.
fn time(benchmark: &Path) -> Result<Option<Time>> {
    let Ok(estimates) = fs::read_to_string(benchmark.with_file_name("estimates.json")) else {
        return Ok(None);
    };
    let estimates: Value = serde_json::from_str(&estimates)?;
    let benchmark: Value = serde_json::from_str(&fs::read_to_string(benchmark)?)?;
    let text = |key: &str| benchmark[key].as_str().unwrap_or_default().to_string();
    let throughput = &benchmark["throughput"];
    let flops = throughput["ElementsAndBytes"]["elements"].as_u64().or(throughput["Elements"].as_u64());
    let nanoseconds = estimates["median"]["point_estimate"].as_f64();
    Ok(nanoseconds.map(|ns| Time {
        group: text("group_id"),
        function: text("function_id"),
        what: text("value_str"),
        seconds: ns / 1e9,
        flops,
    }))
}
