//! Cases of optimisers and learning-rate schedules.

use serde_json::json;
use voxgrad_engine::ops::Reduction;
use voxgrad_engine::optim::{
    Adagrad, Adam, AdamW, CosineAnnealingLR, ExponentialLR, MultiStepLR, OneCycleLR, Optimizer, RMSprop, SGD,
    Schedule, StepLR,
};
use voxgrad_engine::{DType, Device, Tensor};

use crate::case::{Case, Params, Result};
use crate::check::Report;
use crate::common::compare::difference;

/// The optimiser that a case names, with its settings.
fn build(name: &str, p: &Params, parameters: Vec<Tensor>) -> Result<Box<dyn Optimizer>> {
    for switch in ["maximize", "capturable", "differentiable"] {
        p.only(switch, &json!(false))?;
    }
    p.only("foreach", &json!(null))?;
    p.only("fused", &json!(null))?;
    let lr = p.number("lr")?;
    let decay = |default| p.number_or("weight_decay", default);
    let betas = p.get("betas").and_then(|b| Some((b.get(0)?.as_f64()?, b.get(1)?.as_f64()?)));
    let (beta1, beta2) = betas.unwrap_or((0.9, 0.999));
    Ok(match name {
        "sgd" => Box::new(
            SGD::new(parameters, lr)?
                .momentum(p.number_or("momentum", 0.0)?)?
                .dampening(p.number_or("dampening", 0.0)?)?
                .weight_decay(decay(0.0)?)?
                .nesterov(p.flag_or("nesterov", false)?)?,
        ),
        "adam" => Box::new(
            Adam::new(parameters, lr)?
                .betas(beta1, beta2)?
                .eps(p.number_or("eps", 1e-8)?)?
                .weight_decay(decay(0.0)?)?
                .amsgrad(p.flag_or("amsgrad", false)?),
        ),
        "adamw" => Box::new(
            AdamW::new(parameters, lr)?
                .betas(beta1, beta2)?
                .eps(p.number_or("eps", 1e-8)?)?
                .weight_decay(decay(0.01)?)?
                .amsgrad(p.flag_or("amsgrad", false)?),
        ),
        "rmsprop" => Box::new(
            RMSprop::new(parameters, lr)?
                .alpha(p.number_or("alpha", 0.99)?)?
                .eps(p.number_or("eps", 1e-8)?)?
                .momentum(p.number_or("momentum", 0.0)?)?
                .weight_decay(decay(0.0)?)?
                .centered(p.flag_or("centered", false)?),
        ),
        "adagrad" => Box::new(
            Adagrad::new(parameters, lr)?
                .lr_decay(p.number_or("lr_decay", 0.0)?)?
                .eps(p.number_or("eps", 1e-10)?)?
                .initial_accumulator_value(p.number_or("initial_accumulator_value", 0.0)?)?
                .weight_decay(decay(0.0)?)?,
        ),
        _ => return Err(format!("there is no optimiser {name:?}").into()),
    })
}

/// Builds an optimiser from a case's settings, all of which have to be understood.
pub fn optimizer(name: &str, p: &Params, parameters: Vec<Tensor>) -> Result<Box<dyn Optimizer>> {
    let optimizer = build(name, p, parameters)?;
    p.all_read()?;
    Ok(optimizer)
}

/// Some steps on the common problem: the mean squared error of x w + b against y.
pub fn optimiser(report: &mut Report, case: &Case, name: &str, dtype: DType, device: &Device) -> Result<()> {
    let problem = |part: &str| case.part(&format!("optimiser.problem.{part}"))?.tensor(dtype, device);
    let (x, y) = (problem("x")?, problem("y")?);
    let (w, b) = (problem("w")?.requires_grad(), problem("b")?.requires_grad());
    let mut optimizer = optimizer(name, &case.params(), vec![w.clone(), b.clone()])?;
    let steps = case.json.get("steps").and_then(|n| n.as_u64()).ok_or("the number of steps is missing")?;
    let parts = case.json.get("parts").and_then(|p| p.as_object()).ok_or("the list of parts is missing")?;
    let mut sequences = vec![Vec::new(); parts.len()];
    for _ in 0..steps {
        optimizer.zero_grad();
        let loss = x.matmul(&w)?.add(&b)?.mse_loss(&y, Reduction::Mean)?;
        loss.backward()?;
        for moment in ["before the step", "after the step"] {
            for (sequence, (part, when)) in sequences.iter_mut().zip(parts) {
                if when.as_str() == Some(moment) {
                    sequence.extend(match part.trim_end_matches(".f64") {
                        "loss" => loss.to_f64_vec()?,
                        "w" => w.to_f64_vec()?,
                        "b" => b.to_f64_vec()?,
                        "grad.w" => w.grad().ok_or("w has no gradient")?.to_f64_vec()?,
                        "grad.b" => b.grad().ok_or("b has no gradient")?.to_f64_vec()?,
                        _ => return Err(format!("the part {part} is unknown").into()),
                    });
                } else if !["before the step", "after the step"].map(Some).contains(&when.as_str()) {
                    return Err(format!("{part} is taken at {when}, which is unknown").into());
                }
            }
            if moment == "before the step" {
                optimizer.step()?;
            }
        }
    }
    for (got, part) in sequences.iter().zip(parts.keys()) {
        compare(report, case, part, got, &case.part(part)?.values(), dtype, device);
    }
    Ok(())
}

/// Within 1e-9 of the largest value in f64. In f32, for which nothing is stored, the steps may drift apart by
/// the rounding of each.
fn compare(
    report: &mut Report,
    case: &Case,
    part: &str,
    got: &[f64],
    want: &[f64],
    dtype: DType,
    device: &Device,
) {
    report.parts += 1;
    let on = format!("{dtype} on {device}");
    let apart = difference(got, want);
    let relative = if dtype == DType::F64 { 1e-9 } else { 1e-4 };
    let allowed = relative * apart.scale.max(1e-3);
    if got.len() != want.len() {
        report.fail(case, &on, format!("{part} has {} values, expected {}", got.len(), want.len()));
    } else if apart.largest.is_nan() || apart.largest > allowed {
        let (got, want) = (got[apart.at], want[apart.at]);
        report.fail(
            case,
            &on,
            format!("{part} [{}] is {got:e}, expected {want:e} within {allowed:e}", apart.at),
        );
    }
}

/// The learning rate of every step, and the momentum where the schedule moves that too.
pub fn schedule(report: &mut Report, case: &Case, name: &str, dtype: DType) -> Result<()> {
    let p = case.params();
    let base = case.json.get("base_lr").and_then(|lr| lr.as_f64()).ok_or("base_lr is missing")?;
    p.only("last_epoch", &json!(-1))?;
    let schedule: Box<dyn Schedule> = match name {
        "step_lr" => Box::new(StepLR::new(base, p.count("step_size")?, p.number_or("gamma", 0.1)?)?),
        "multi_step_lr" => {
            Box::new(MultiStepLR::new(base, &p.sizes("milestones")?, p.number_or("gamma", 0.1)?)?)
        }
        "exponential_lr" => Box::new(ExponentialLR::new(base, p.number("gamma")?)?),
        "cosine_annealing_lr" => {
            Box::new(CosineAnnealingLR::new(base, p.count("T_max")?)?.eta_min(p.number_or("eta_min", 0.0)?)?)
        }
        "one_cycle_lr" => Box::new(one_cycle(&p)?),
        _ => return Err(format!("there is no schedule {name:?}").into()),
    };
    p.all_read()?;
    if dtype != DType::F64 {
        return Ok(()); // arithmetic of the host, once is enough
    }
    let values = case.json.get("values").and_then(|v| v.as_array()).ok_or("values are missing")?;
    let expected: Vec<f64> = values.iter().filter_map(|v| v.as_f64()).collect();
    let got: Vec<f64> = (0..values.len()).map(|step| schedule.lr(step)).collect();
    compare(report, case, "values", &got, &expected, dtype, &Device::cpu());
    Ok(())
}

fn one_cycle(p: &Params) -> Result<OneCycleLR> {
    let schedule = OneCycleLR::new(p.number("max_lr")?, p.count("total_steps")?)?
        .pct_start(p.number_or("pct_start", 0.3)?)?
        .div_factor(p.number_or("div_factor", 25.0)?)?
        .final_div_factor(p.number_or("final_div_factor", 1e4)?)?
        .three_phase(p.flag_or("three_phase", false)?);
    match p.text_or("anneal_strategy", "cos")?.as_str() {
        "cos" => Ok(schedule),
        "linear" => Ok(schedule.linear()),
        other => Err(format!("there is no anneal_strategy {other:?}").into()),
    }
}
