//! A table that the project draws itself, for machines without the real one: the same columns, values as
//! frequent as there, and the same share of deaths. No patient in it ever lived.

use voxgrad_engine::random::Rng;

use super::table::{ATTRIBUTES, Patients, Source};

const PATIENTS: usize = 470;
/// How many die within a year.
const DEATHS: usize = 70;

/// Of an attribute that is one of a few whole numbers: how many patients have 0, 1, 2, and so on.
const CODES: [(usize, &[u32]); 13] = [
    (0, &[1, 52, 349, 47, 15, 4, 2]),
    (3, &[130, 313, 27]),
    (4, &[439, 31]),
    (5, &[402, 68]),
    (6, &[439, 31]),
    (7, &[147, 323]),
    (8, &[392, 78]),
    (9, &[177, 257, 19, 17]),
    (10, &[435, 35]),
    (11, &[468, 2]),
    (12, &[462, 8]),
    (13, &[84, 386]),
    (14, &[468, 2]),
];

/// How much each step of an attribute adds to the risk of dying: tumour size, diabetes, dyspnoea, and so
/// on. The noise beside it has a deviation of 1, so that the table is as hard to tell as the real one.
const RISK: [(usize, f32); 7] = [(3, 0.2), (6, 0.5), (7, 0.2), (8, 0.2), (9, 0.3), (10, 0.5), (13, 0.2)];

/// Patients of a seed; `why` says why they are not real ones.
pub fn patients(seed: u64, why: String) -> Patients {
    let mut rng = Rng::new(seed, 1);
    let mut attributes = Vec::with_capacity(PATIENTS);
    let mut risks: Vec<(f32, usize)> = Vec::with_capacity(PATIENTS);
    for i in 0..PATIENTS {
        let patient = patient(&mut rng);
        let risk: f32 = RISK.iter().map(|(attribute, weight)| weight * patient[*attribute]).sum();
        risks.push((risk + rng.normal(), i));
        attributes.push(patient);
    }
    risks.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut labels = vec![0; PATIENTS];
    risks.iter().take(DEATHS).for_each(|(_, i)| labels[*i] = 1);
    Patients { attributes, labels, source: Source::Drawn(why) }
}

fn patient(rng: &mut Rng) -> [f32; ATTRIBUTES] {
    let mut patient = [0.0; ATTRIBUTES];
    for (attribute, counts) in CODES {
        let mut left = rng.below(PATIENTS) as u32;
        patient[attribute] = counts.iter().take_while(|count| take(&mut left, **count)).count() as f32;
    }
    let capacity = (3.28 + 0.87 * rng.normal()).clamp(1.44, 6.3);
    // A few of the real table are percentages, not litres.
    patient[1] = round(capacity);
    patient[2] = match rng.below(PATIENTS) < 15 {
        true => round((70.0 + 8.0 * rng.normal()).clamp(50.0, 86.3)),
        false => round((capacity * (0.77 + 0.1 * rng.normal())).clamp(0.96, 5.5)),
    };
    patient[15] = (62.5 + 8.7 * rng.normal()).clamp(21.0, 87.0).round();
    patient
}

/// Whether `left` lies beyond the next `count`, which are then taken off.
fn take(left: &mut u32, count: u32) -> bool {
    let beyond = *left >= count;
    if beyond {
        *left -= count;
    }
    beyond
}

/// To the two decimals of the real table.
fn round(litres: f32) -> f32 {
    (100.0 * litres).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_looks_like_the_real_one() {
        let table = patients(1, "why".into());
        assert_eq!((table.len(), table.survivors()), (470, 400));
        let values = |attribute: usize| table.attributes.iter().map(move |patient| patient[attribute]);
        for (attribute, counts) in CODES {
            assert_eq!(counts.iter().sum::<u32>(), 470);
            assert!(values(attribute).all(|x| x >= 0.0 && x < counts.len() as f32 && x.fract() == 0.0));
        }
        let share = |attribute, value| values(attribute).filter(|x| *x == value).count();
        assert!((320..380).contains(&share(0, 2.0)) && (360..410).contains(&share(13, 1.0)));
        assert!(values(1).all(|x| (1.44..=6.3).contains(&x)));
        assert!(values(2).any(|x| x > 50.0) && values(2).filter(|x| *x > 50.0).count() < 40);
        assert!(values(15).all(|x| (21.0..=87.0).contains(&x) && x.fract() == 0.0));
        assert_eq!(patients(1, "why".into()), table);
        assert_ne!(patients(2, "why".into()).labels, table.labels);
        assert!(table.describe().starts_with("470 patients, 400 of whom survive the year, drawn by voxgrad"));
    }
}
