//! Comparing what the engine gives with what is stored, within the format's tolerances.

use voxgrad_engine::{DType, Device, Tensor};

use crate::case::{Case, Result};
use crate::common::compare::difference;
use crate::ops::is_transcendental;

/// Everything compared so far, and every disagreement in words.
#[derive(Default)]
pub struct Report {
    pub parts: usize,
    pub failures: Vec<String>,
}

impl Report {
    pub fn fail(&mut self, case: &Case, on: &str, what: impl std::fmt::Display) {
        self.failures.push(format!("{} {on}: {what}", case.id));
    }
}

/// Where and how precisely a case runs: f64 on the CPU, f32 everywhere.
pub fn runs(devices: &[Device]) -> Vec<(DType, Device)> {
    let everywhere = devices.iter().map(|device| (DType::F32, device.clone()));
    std::iter::once((DType::F64, Device::cpu())).chain(everywhere).collect()
}

/// Compares a tensor with the stored `part`.
pub fn tensor(report: &mut Report, case: &Case, part: &str, got: &Tensor, dtype: DType) -> Result<()> {
    let stored = case.part(part).or_else(|missing| case.part(&format!("{part}.f64")).map_err(|_| missing))?;
    if got.shape()[..] != stored.shape[..] {
        let on = format!("{dtype} on {}", got.device());
        report.fail(case, &on, format!("{part} has the shape {}, expected {:?}", got.shape(), stored.shape));
        return Ok(());
    }
    let on = got.device().to_string();
    values(report, case, part, &got.to_f64_vec()?, dtype, &on)
}

/// Compares numbers with the stored `part`, in f64 or f32.
pub fn values(
    report: &mut Report,
    case: &Case,
    part: &str,
    got: &[f64],
    dtype: DType,
    on: &str,
) -> Result<()> {
    let exact = case.stored(&format!("{part}.f64"));
    let stored = match exact {
        Some(exact) => exact,
        None => case.part(part)?,
    };
    let expected = stored.values();
    let on = format!("{dtype} on {on}");
    report.parts += 1;
    if got.len() != expected.len() {
        report.fail(case, &on, format!("{part} has {} elements, expected {}", got.len(), expected.len()));
        return Ok(());
    }
    let apart = difference(got, &expected);
    let allowed = match (stored.is_integer(), dtype) {
        (true, _) => 0.0,
        (false, DType::F64) => {
            let relative = match exact {
                Some(_) if is_transcendental(family(&case.op)) => 1e-8,
                Some(_) => 1e-9,
                // Only stored in f32: half a unit in its last place, and what the op itself may differ by.
                None => 2f64.powi(-24) + 1e-8,
            };
            // Where the values cancel to nothing, rounding is all there is to agree on.
            relative * apart.scale.max(1e-3)
        }
        (false, _) => match case.f32_error(part) {
            Some((error, largest)) => 16.0 * error + 1e-5 * largest.max(1.0),
            None => return Err(format!("there is no f32_error for {part}").into()),
        },
    };
    let agree = apart.largest <= allowed;
    if !agree {
        let (got, expected) = (got[apart.at], expected[apart.at]);
        let index = apart.at;
        report.fail(
            case,
            &on,
            format!("{part} [{index}] is {got:e}, expected {expected:e} within {allowed:e}"),
        );
    }
    Ok(())
}

/// `optimiser` of `optimiser.sgd`.
fn family(op: &str) -> &str {
    op.split('.').next().unwrap_or(op)
}
