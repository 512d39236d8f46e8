//! What a trained network says of candidates.

use std::path::{Path, PathBuf};

use voxgrad_engine::nn::Module;
use voxgrad_engine::{Device, Tensor, checkpoint, no_grad};

use super::crops::Crops;
use super::csv::Csv;
use super::ct::{CROP, Ct};
use super::estimate::with_estimate;
use super::find::{self, Found};
use super::look::{self, Prediction};
use super::model::{BiasInit, LunaModel};
use super::settings::ScanSettings;
use super::tables::CandidateInfo;
use crate::trainer::{Console, Outcome};
use crate::{Error, Result};

/// Crops at a time.
const BATCH: usize = 32;

/// The probabilities that the network gives crops of being nodules, in their order. It is in evaluation mode
/// afterwards. `progress` is told how many are done.
///
/// # Errors
/// When a crop can't be had.
pub fn probabilities(
    model: &LunaModel,
    device: &Device,
    crops: impl IntoIterator<Item = Result<Vec<f32>>>,
    progress: &dyn Fn(usize),
) -> Result<Vec<f64>> {
    model.eval();
    let [depth, height, width] = CROP;
    let (mut all, mut crops) = (Vec::new(), crops.into_iter());
    loop {
        let batch: Vec<Vec<f32>> = crops.by_ref().take(BATCH).collect::<Result<_>>()?;
        if batch.is_empty() {
            return Ok(all);
        }
        let inputs = Tensor::new(&batch.concat(), [batch.len(), 1, depth, height, width], device)?;
        let said = no_grad(|| model.forward_with_probabilities(&inputs))?.1.narrow(1, 1, 1)?;
        all.extend(said.to_vec::<f32>()?.into_iter().map(f64::from));
        progress(all.len());
    }
}

/// What the network says of `candidates`, whose crops come from `crops`.
///
/// # Errors
/// When a crop can't be had.
pub fn predictions(
    model: &LunaModel,
    device: &Device,
    crops: &Crops,
    candidates: &[CandidateInfo],
    console: &mut Console,
) -> Result<Vec<Prediction>> {
    let hu = candidates.iter().map(|candidate| Ok(crops.at(candidate)?.hu));
    let said = with_estimate(console, "Asking the network", candidates.len(), |progress| {
        probabilities(model, device, hu, progress)
    })?;
    let pairs = candidates.iter().cloned().zip(said);
    Ok(pairs.map(|(candidate, probability)| Prediction { candidate, probability }).collect())
}

/// The network with the weights in a file, such as a run's `best.safetensors` or PyTorch's `.pt`.
///
/// # Errors
/// When the file can't be read, or is of another network.
fn load(path: &Path, device: &Device) -> Result<LunaModel> {
    let model = LunaModel::new(BiasInit::Zeros)?;
    let weights = checkpoint::load(path)?.0;
    model.load_state_dict(&weights).map_err(|e| Error::file(path, e.to_string()))?;
    model.to(device)?;
    Ok(model)
}

/// What `luna classify` is told.
#[derive(Debug, Clone)]
pub struct ClassifySettings {
    /// The scan's `.mhd` file.
    pub scan: PathBuf,
    /// A table of places, in the form of `candidates.csv`; the class may be missing.
    pub candidates: PathBuf,
    /// The weights.
    pub weights: PathBuf,
    /// Where to compute.
    pub device: String,
    /// How many of the most likely nodules to print; 0 prints all.
    pub top: usize,
}

/// Prints the candidates of one scan, the most likely nodule first.
///
/// # Errors
/// When a file can't be read, or the table has no candidate of the scan.
pub fn classify(settings: &ClassifySettings, console: &mut Console) -> Result<Outcome> {
    let device = Device::by_name(&settings.device)?;
    let model = load(&settings.weights, &device)?;
    let ct = Ct::read(&settings.scan)?;
    let (mut places, note) = places(&settings.candidates, &ct)?;
    note.iter().for_each(|note| console.say(note));
    let crops = places.iter().map(|place| Ok(ct.window(place.irc, CROP)?.0));
    let said = with_estimate(console, "Asking the network", places.len(), |progress| {
        probabilities(&model, &device, crops, progress)
    })?;
    places.iter_mut().zip(said).for_each(|(place, said)| place.probability = said);
    places.sort_by(|a, b| b.probability.total_cmp(&a.probability));

    let (n, called) = (places.len(), places.iter().filter(|place| place.probability > 0.5).count());
    console.say(&format!("Scan {}: {called} of {n} candidates are called nodules", ct.series_uid));
    console.say("rank  probability  slice   row   col         x         y         z  class");
    let shown = if settings.top == 0 { n } else { settings.top };
    for (rank, Place { probability, irc: [index, row, col], xyz: [x, y, z], is_nodule }) in
        (1..).zip(places.iter().take(shown))
    {
        let class = is_nodule.map_or("", |nodule| if nodule { "nodule" } else { "other" });
        let numbers = format!("{rank:>4}  {probability:>11.4}  {index:>5} {row:>5} {col:>5}");
        console.say(format!("{numbers}  {x:>8.2}  {y:>8.2}  {z:>8.2}  {class}").trim_end());
    }
    Ok(Outcome::Finished)
}

/// A candidate of the scan that is asked about.
struct Place {
    xyz: [f64; 3],
    irc: [i64; 3],
    /// Whether it is a nodule, if the table says so.
    is_nodule: Option<bool>,
    probability: f64,
}

/// The table's candidates that lie in the scan, and what to say of the others.
fn places(path: &Path, ct: &Ct) -> Result<(Vec<Place>, Option<String>)> {
    let with_class = Csv::read(path, ["seriesuid", "coordX", "coordY", "coordZ", "class"]);
    let all = match with_class {
        Ok(table) => table.rows(|row| {
            let xyz = [row.number(1)?, row.number(2)?, row.number(3)?];
            Ok((row.name(0)?, xyz, Some(row.number(4)? == 1.0)))
        })?,
        // A table without classes; any other trouble comes again.
        Err(_) => Csv::read(path, ["seriesuid", "coordX", "coordY", "coordZ"])?
            .rows(|row| Ok((row.name(0)?, [row.number(1)?, row.number(2)?, row.number(3)?], None)))?,
    };
    let (mut inside, mut elsewhere, mut outside) = (Vec::new(), 0, 0);
    for (series_uid, xyz, is_nodule) in all {
        let irc = ct.geometry.xyz_to_irc(xyz);
        if series_uid != ct.series_uid {
            elsewhere += 1;
        } else if irc.iter().zip(ct.size).any(|(&at, size)| !(0..size as i64).contains(&at)) {
            outside += 1;
        } else {
            inside.push(Place { xyz, irc, is_nodule, probability: 0.0 });
        }
    }
    let others = format!("{elsewhere} candidates of other scans, {outside} outside of this one");
    if inside.is_empty() {
        let series = &ct.series_uid;
        return Err(Error::file(path, format!("it has no candidate in the scan {series}, but {others}")));
    }
    Ok((inside, (elsewhere + outside > 0).then(|| format!("Left out: {others}"))))
}

/// What `luna look` is told.
#[derive(Debug, Clone)]
pub struct LookSettings {
    /// Where the scans are.
    pub scans: ScanSettings,
    /// The weights, or nothing to draw only the nodules.
    pub weights: Option<PathBuf>,
    /// Where to compute.
    pub device: String,
    /// Where the pictures go.
    pub out: PathBuf,
    /// At most so many nodules are drawn in three planes.
    pub nodules: usize,
}

/// Draws the largest nodules, each in three planes, and with weights also what the network says of all
/// candidates.
///
/// # Errors
/// When a scan or the weights can't be read, or a picture can't be written.
pub fn look(settings: &LookSettings, console: &mut Console) -> Result<Outcome> {
    let device = Device::by_name(&settings.device)?;
    let model = settings.weights.as_deref().map(|path| load(path, &device)).transpose()?;
    let Found { crops, candidates, .. } = find::find(&settings.scans, console)?;
    std::fs::create_dir_all(&settings.out).map_err(Error::io(&settings.out))?;
    let nodules = candidates.iter().filter(|candidate| candidate.is_nodule).take(settings.nodules);
    for (n, nodule) in (1..).zip(nodules) {
        let CandidateInfo { series_uid, center_xyz, diameter_mm, .. } = nodule;
        let name = format!("nodule_{n}.png");
        let title = format!("Nodule of {diameter_mm:.1} mm in {series_uid}");
        look::planes(
            &settings.out.join(&name),
            &crops.scans().ct(series_uid)?,
            *center_xyz,
            *diameter_mm,
            &title,
        )?;
        console.say(&format!("{name}: {title}"));
    }
    if let Some(model) = model {
        let predictions = predictions(&model, &device, &crops, &candidates, console)?;
        let names = look::results(&settings.out, &predictions, |series| crops.scans().ct(series))?;
        console.say(&format!("Of all candidates: {}", names.join(", ")));
    }
    console.say(&format!("Pictures in {}", settings.out.display()));
    Ok(Outcome::Finished)
}
