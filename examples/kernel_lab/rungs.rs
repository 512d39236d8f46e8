//! One ladder on one device, rung by rung.

use std::path::Path;
use std::time::{Duration, Instant};

use voxgrad::kernels::Storage;
use voxgrad::models::lab::{self, Roofline, rate};
use voxgrad::models::trainer::Console;
use voxgrad::models::{Error, Result};
use voxgrad::{DType, Device};

use crate::common::compare::difference;
use crate::common::source::sources;
use crate::common::{Ladder, devices};

/// How long each rung is timed.
const LENGTH: Duration = Duration::from_millis(600);
/// Up to so many operations the plain rung is what f64 is computed with: beyond, that takes too long.
const PLAIN_UP_TO: u64 = 500_000_000;

/// Times the rungs of `ladder` on `device`, or the one asked for, and says and draws what comes of it.
pub fn measure(
    ladder: &Ladder,
    device: &Device,
    only: Option<usize>,
    torch: bool,
    out: &Path,
    console: &mut Console,
) -> Result<()> {
    let names = ladder.rungs_on(device);
    if let Some(rung) = only.filter(|&rung| rung >= names.len()) {
        let rungs = crate::numbered(names);
        return Err(Error::Usage(format!("--rung {rung}: {} on {device} has {rungs}", ladder.kernel)));
    }
    std::fs::create_dir_all(out)
        .map_err(|error| Error::Run(format!("--out {}: it cannot be written: {error}", out.display())))?;
    let buffers = ladder.buffers(DType::F32, device)?;
    let outputs = ladder.run(usize::MAX, &buffers)?;
    let bytes: u64 = buffers.iter().chain(&outputs).map(|x| (x.len() * x.dtype().size()) as u64).sum();
    let (millions, megabytes) = (ladder.flops as f64 / 1e6, bytes as f64 / 1e6);
    console.say(&format!(
        "{}: {millions:.1} million operations, {megabytes:.2} MB read and written",
        ladder.name()
    ));
    let table = Table { flops: ladder.flops, bytes, roofline: Roofline::measure(device, bytes)? };
    let Roofline { arithmetic, near, far } = &table.roofline;
    console.say(&format!("{device}: {} ({})", rate(arithmetic.rate, "FLOP/s"), arithmetic.what));
    let [near_rate, far_rate] = [near, far].map(|limit| rate(limit.rate, "B/s"));
    console.say(&format!("{near_rate} ({}), {far_rate} ({})\n", near.what, far.what));

    let exact = Exact::of(ladder)?;
    let head = format!(
        "{:<14}{:>12}{:>10}{:>9}{:>10}{:>11}",
        "rung", "time", "GFLOP/s", "GB/s", "of limit", "error"
    );
    console.say(&format!("{head}  where"));
    let mut chart =
        table.roofline.chart(format!("{} on {}", short(&ladder.name()), devices::name_of(device)));
    let (mut last, files) = (None, sources(ladder.kernel, device));
    for (rung, name) in names.iter().enumerate().filter(|(rung, _)| only.is_none_or(|only| only == *rung)) {
        let began = Instant::now();
        let error = exact.error(&ladder.run(rung, &buffers)?)?;
        if began.elapsed() > LENGTH {
            eprintln!("{name} takes {:.1?} a run; three more are timed", began.elapsed());
        }
        let seconds = lab::time(device, LENGTH, || Ok(ladder.run(rung, &buffers)?))?.median;
        let place = files.get(rung).map_or("", String::as_str);
        console.say(&table.row(&format!("{rung} {name}"), seconds, &format!("{error:.1e}"), place));
        chart = chart.point(*name, table.intensity(), table.flops as f64 / seconds);
        last = Some((name, seconds));
    }
    if torch {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/torch_op.py");
        match lab::torch(&script, &ladder.torch, &ladder.shapes().collect::<Vec<_>>()) {
            Err(why) => console.say(&format!("PyTorch: no time, {why}")),
            Ok(lab::Torch { seconds, version, threads }) => {
                let what = format!("PyTorch {version} on the CPU, {threads} threads");
                console.say(&table.row("PyTorch", seconds, "", &what));
                chart = chart.point("PyTorch", table.intensity(), table.flops as f64 / seconds);
            }
        }
    }
    let by = exact.rung;
    console
        .say(&format!("error: the largest against f64 by the {by} rung, as a part of the largest value\n"));
    if let Some((name, seconds)) = last {
        console.say(&table.roofline.say(name, ladder.flops, bytes, seconds));
    }
    let path = out.join(format!("{}_{}.png", ladder.kernel, kind(device)));
    chart.save(&path)?;
    console.say(&format!("Roofline: {}\n", path.display()));
    Ok(())
}

/// What all rows of a table have in common.
struct Table {
    flops: u64,
    bytes: u64,
    roofline: Roofline,
}

impl Table {
    /// Operations a byte.
    fn intensity(&self) -> f64 {
        self.flops as f64 / self.bytes.max(1) as f64
    }

    fn row(&self, name: &str, seconds: f64, error: &str, place: &str) -> String {
        let (flops, bytes) = (self.flops as f64 / seconds, self.bytes as f64 / seconds);
        let share = 100.0 * flops / self.roofline.bound(self.intensity());
        let (time, flops, bytes) = (lab::duration(seconds), flops / 1e9, bytes / 1e9);
        format!("{name:<14}{time:>12}{flops:>10.2}{bytes:>9.2}{share:>9.1}%{error:>11}  {place}")
    }
}

/// As much of a name as a title has room for.
fn short(name: &str) -> String {
    match name.char_indices().nth(40) {
        Some((end, _)) => format!("{}..", &name[..end]),
        None => name.to_string(),
    }
}

fn kind(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Wgpu(_) => "wgpu",
    }
}

/// What a ladder gives in f64, on the CPU.
struct Exact {
    outputs: Vec<Vec<f64>>,
    rung: &'static str,
}

impl Exact {
    fn of(ladder: &Ladder) -> Result<Exact> {
        let names = ladder.rungs_on(&Device::Cpu);
        let rung = if ladder.flops <= PLAIN_UP_TO { 0 } else { names.len() - 1 };
        let outputs = ladder.run(rung, &ladder.buffers(DType::F64, &Device::Cpu)?)?;
        let outputs = outputs.iter().map(values).collect::<Result<_>>()?;
        Ok(Exact { outputs, rung: names[rung] })
    }

    /// The largest error of any output, scaled by the largest value of that.
    fn error(&self, outputs: &[Storage]) -> Result<f64> {
        let mut worst = 0f64;
        for (output, exact) in outputs.iter().zip(&self.outputs) {
            let apart = difference(&values(output)?, exact);
            worst = worst.max(apart.largest / apart.scale.max(f64::MIN_POSITIVE));
        }
        Ok(worst)
    }
}

fn values(output: &Storage) -> Result<Vec<f64>> {
    Ok(match output.dtype() {
        DType::F32 => output.to_vec::<f32>()?.into_iter().map(f64::from).collect(),
        DType::F64 => output.to_vec()?,
        DType::U32 => output.to_vec::<u32>()?.into_iter().map(f64::from).collect(),
    })
}
