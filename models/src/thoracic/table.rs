//! The table of patients: a CSV file, or one that the project draws itself.

use std::path::{Path, PathBuf};

use voxgrad_engine::random::Rng;
use voxgrad_engine::{Device, Tensor};

use super::drawn;
use crate::data::Places;
use crate::data::csv::Rows;
use crate::{Error, Result};

/// How many attributes a patient has.
pub const ATTRIBUTES: usize = 16;

/// The attributes in the order of the columns, and after them the label.
pub const COLUMNS: [&str; ATTRIBUTES + 1] = [
    "diagnosis code",
    "forced vital capacity",
    "volume of the first second",
    "performance status",
    "pain",
    "haemoptysis",
    "dyspnoea",
    "cough",
    "weakness",
    "tumour size code",
    "diabetes",
    "infarction within 6 months",
    "peripheral arterial disease",
    "smoking",
    "asthma",
    "age",
    "died within a year",
];

/// The names of the classes, by label.
pub const CLASS_NAMES: [&str; 2] = ["survives", "dies"];

/// Its first name is the usual one; the file was also published with the second.
const FILES: [&str; 2] = ["ThoracicSurgery3.csv", "ThoraricSurgery3.csv"];

/// Where the patients come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// This file.
    File(PathBuf),
    /// Drawn by this project, for this reason.
    Drawn(String),
}

/// Patients with their attributes, and whether each died within a year of the operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Patients {
    /// Of each patient.
    pub attributes: Vec<[f32; ATTRIBUTES]>,
    /// 1 for those who died.
    pub labels: Vec<u32>,
    /// Where they come from.
    pub source: Source,
}

impl Patients {
    /// Those of the file in `data` if given. Else from `$VOXGRAD_DATA` or the user's cache directory; if it
    /// is in neither, patients are drawn with `seed`: the file has no official address to fetch it from.
    ///
    /// # Errors
    /// When `data` is given and the file isn't there, with every path that was looked for; when it is
    /// broken.
    pub fn load(data: Option<&Path>, seed: u64) -> Result<Patients> {
        let places = Places::new(data);
        match places.find("the table of thoracic surgery", &["thoracic"], &FILES) {
            Ok(folder) => {
                let path = FILES.iter().map(|file| folder.join(file)).find(|path| path.is_file());
                Patients::read(&path.unwrap_or_else(|| folder.join(FILES[0])))
            }
            Err(error) if places.data.is_some() => Err(error),
            Err(error) => Ok(drawn::patients(seed, error.to_string())),
        }
    }

    /// Reads a CSV file: a line for each patient, 16 attributes and the label with commas between them,
    /// and no line of names. Empty lines count for nothing, and Windows' line ends are as good as any.
    ///
    /// # Errors
    /// With the line and the column of what is wrong.
    pub fn read(path: &Path) -> Result<Patients> {
        let mut rows = Rows::open(path)?;
        let (mut attributes, mut labels) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next()? {
            let patient = patient(&row.cells).map_err(|why| row.wrong(&why))?;
            attributes.push(patient.0);
            labels.push(patient.1);
        }
        if labels.is_empty() {
            return Err(Error::file(path, "it holds no patients".into()));
        }
        Ok(Patients { attributes, labels, source: Source::File(path.into()) })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// How many survive.
    pub fn survivors(&self) -> usize {
        self.labels.iter().filter(|label| **label == 0).count()
    }

    /// A `share` of each class for validation, drawn with `seed`, and the others to train on: as many
    /// survive on either side, as nearly as whole patients allow.
    pub fn split(&self, share: f64, seed: u64) -> (Patients, Patients) {
        let mut order: Vec<usize> = (0..self.len()).collect();
        Rng::new(seed, SPLIT_STREAM).shuffle(&mut order);
        let mut val = Vec::new();
        for class in 0..2 {
            let own = order.iter().filter(|i| self.labels[**i] == class);
            let wanted = (share * own.clone().count() as f64).round() as usize;
            val.extend(own.take(wanted).copied());
        }
        let (val, train): (Vec<usize>, Vec<usize>) = (0..self.len()).partition(|i| val.contains(i));
        (self.select(&train), self.select(&val))
    }

    fn select(&self, chosen: &[usize]) -> Patients {
        Patients {
            attributes: chosen.iter().map(|&i| self.attributes[i]).collect(),
            labels: chosen.iter().map(|&i| self.labels[i]).collect(),
            source: self.source.clone(),
        }
    }

    /// Of each attribute its mean and its standard deviation, 1 for an attribute that all share.
    pub fn scale(&self) -> [(f32, f32); ATTRIBUTES] {
        let n = self.len() as f64;
        std::array::from_fn(|a| {
            let values = || self.attributes.iter().map(|patient| f64::from(patient[a]));
            let mean = values().sum::<f64>() / n;
            let std = (values().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
            (mean as f32, if std > 0.0 { std as f32 } else { 1.0 })
        })
    }

    /// The same patients with (x - mean) / deviation for each attribute x.
    pub fn scaled(mut self, scale: &[(f32, f32); ATTRIBUTES]) -> Patients {
        for patient in &mut self.attributes {
            for (x, (mean, std)) in patient.iter_mut().zip(scale) {
                *x = (*x - mean) / std;
            }
        }
        self
    }

    /// Attributes `[N, 16]` and labels `[N]`.
    pub fn tensors(&self) -> Result<(Tensor, Tensor)> {
        let (n, cpu) = (self.len(), Device::cpu());
        let x = Tensor::new(self.attributes.as_flattened(), [n, ATTRIBUTES], &cpu)?;
        Ok((x, Tensor::new(&self.labels, [n], &cpu)?))
    }

    /// What data this is, in one plain sentence.
    pub fn describe(&self) -> String {
        let numbers = format!("{} patients, {} of whom survive the year", self.len(), self.survivors());
        match &self.source {
            Source::File(path) => format!("{numbers}, from {}", path.display()),
            Source::Drawn(why) => {
                format!("{numbers}, drawn by voxgrad itself: no real people, because {why}")
            }
        }
    }
}

/// Keeps the split's random numbers apart from those of a drawn table.
const SPLIT_STREAM: u64 = 2;

/// The attributes and the label in a line, or what is wrong with it.
fn patient(record: &[String]) -> Result<([f32; ATTRIBUTES], u32), String> {
    if record.len() != COLUMNS.len() {
        let (has, wanted) = (record.len(), COLUMNS.len());
        let columns = if has == 1 { "column" } else { "columns" };
        return Err(format!("it has {has} {columns}, not {wanted}: {ATTRIBUTES} attributes and the label"));
    }
    let mut numbers = [0.0; ATTRIBUTES + 1];
    for (i, (number, (text, name))) in numbers.iter_mut().zip(record.iter().zip(COLUMNS)).enumerate() {
        *number = match text.parse::<f32>() {
            Ok(x) if x.is_finite() => x,
            _ => {
                let text: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
                return Err(format!("column {} ({name}): {text:?} is no number", i + 1));
            }
        };
    }
    let [attributes @ .., label] = numbers;
    match label {
        0.0 | 1.0 => Ok((attributes, label as u32)),
        _ => Err(format!("column {} ({}): {label} is neither 0 nor 1", COLUMNS.len(), COLUMNS[ATTRIBUTES])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "1,2.88,2.16,1,0,0,0,1,1,3,0,0,0,1,0,60,0";

    fn read(text: &str) -> Result<Patients, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        Patients::read(&path).map_err(|e| e.to_string().rsplit_once("table.csv: ").unwrap().1.to_string())
    }

    #[test]
    fn lines_of_any_system_and_empty_ones() {
        let dead = LINE.replace("60,0", "71,1");
        let plain = read(&format!("{LINE}\n{dead}\n")).unwrap();
        assert_eq!(plain.attributes[0][..4], [1.0, 2.88, 2.16, 1.0]);
        assert_eq!((plain.attributes[1][15], &plain.labels[..]), (71.0, &[0, 1][..]));
        for text in [
            format!("{LINE}\r\n{dead}\r\n"),
            format!("{LINE}\n\n  \n{dead}"),
            format!("\u{feff}{}\n{dead}\n\n", LINE.replace(',', " , ")),
        ] {
            let other = read(&text).unwrap();
            assert_eq!((other.attributes, other.labels), (plain.attributes.clone(), plain.labels.clone()));
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_line_and_column() {
        let refusal = |text: &str| read(text).unwrap_err();
        let short = LINE.rsplit_once(',').unwrap().0;
        let wanted = "line 2: it has 16 columns, not 17: 16 attributes and the label";
        assert_eq!(refusal(&format!("{LINE}\n{short}\n")), wanted);
        assert_eq!(refusal(&format!("{LINE},\n")), wanted.replace("2: it has 16", "1: it has 18"));
        let text = format!("{LINE}\r\n\r\n{}\r\n", LINE.replace("2.16", "2,16 l").replacen("1,", "", 1));
        assert_eq!(refusal(&text), "line 3: column 3 (volume of the first second): \"16 l\" is no number");
        for (value, said) in
            [("", "\"\""), ("NaN", "\"NaN\""), ("1e99", "\"1e99\""), ("a\x1b[2J", "\"a[2J\"")]
        {
            let text = LINE.replace("60", value);
            assert_eq!(refusal(&text), format!("line 1: column 16 (age): {said} is no number"));
        }
        let label = LINE.replace("60,0", "60,2");
        assert_eq!(refusal(&label), "line 1: column 17 (died within a year): 2 is neither 0 nor 1");
        assert!(refusal("DGN,PRE4,PRE5\n").starts_with("line 1: it has 3 columns, not 17"));
        let text = format!("{LINE}\n  \n\n{LINE}\n\n\n{label}\n");
        assert!(refusal(&text).starts_with("line 7: column 17"), "{}", refusal(&text));
        assert_eq!(refusal("\n\n"), "it holds no patients");
        assert!(Patients::read(Path::new("no/such.csv")).unwrap_err().to_string().contains("no/such.csv"));
    }

    #[test]
    fn a_split_keeps_the_shares_and_every_patient() {
        let patients = drawn::patients(3, "why".into());
        let (train, val) = patients.split(0.2, 5);
        assert_eq!((train.len(), train.survivors()), (376, 320));
        assert_eq!((val.len(), val.survivors()), (94, 80));
        assert_eq!(patients.split(0.2, 5), (train.clone(), val.clone()));
        assert_ne!(patients.split(0.2, 6).1, val);
        let sum = |p: &Patients| p.attributes.iter().map(|a| f64::from(a[15])).sum::<f64>();
        assert_eq!(sum(&train) + sum(&val), sum(&patients));
    }

    #[test]
    fn scaled_attributes_have_mean_0_and_deviation_1() {
        let patients = drawn::patients(3, "why".into());
        let scaled = patients.clone().scaled(&patients.scale());
        for (mean, std) in scaled.scale() {
            assert!(mean.abs() < 1e-5 && (std - 1.0).abs() < 1e-4, "{mean} {std}");
        }
    }
}
