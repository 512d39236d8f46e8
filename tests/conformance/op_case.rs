//! A case of one op: forward, backward, and the comparison of all that comes out.

use std::collections::HashMap;

use serde_json::Value;
use voxgrad_engine::{DType, Device, Tensor};

use crate::case::{Case, Result};
use crate::check::{self, Report};
use crate::ops::{self, Inputs};

pub fn run(report: &mut Report, case: &Case, dtype: DType, device: &Device) -> Result<()> {
    let wanted = case.list("grads");
    let mut leaves = HashMap::new();
    let mut inputs = Vec::new();
    for part in case.list("inputs") {
        let name = part.strip_prefix("in.").unwrap_or(part);
        let mut leaf = case.part(part)?.tensor(dtype, device)?;
        if wanted.contains(&format!("grad.{name}").as_str()) {
            leaf = leaf.requires_grad();
        }
        inputs.push((name.to_string(), viewed(case, name, leaf.clone())?));
        leaves.insert(name, leaf);
    }
    let outputs = ops::run(&case.op, &case.params(), &Inputs(inputs))
        .ok_or_else(|| format!("the op {:?} is not in the op table", case.op))??;

    let compared = [case.json.get("output").and_then(Value::as_str).unwrap_or("out")];
    for part in compared.into_iter().chain(case.list("more")) {
        let found = outputs.iter().find(|(name, _)| *name == part);
        let (_, got) = found.ok_or_else(|| format!("the op gives no {part}"))?;
        check::tensor(report, case, part, got, dtype)?;
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let upstream = case.json.get("upstream").and_then(Value::as_str).unwrap_or("gout");
    outputs[0].1.backward_with(&case.part(upstream)?.tensor(dtype, device)?)?;
    for part in wanted {
        let name = part.strip_prefix("grad.").unwrap_or(part);
        let leaf = leaves.get(name).ok_or_else(|| format!("{part}: there is no input of that name"))?;
        match leaf.grad() {
            Some(grad) => check::tensor(report, case, part, &grad, dtype)?,
            None => {
                report.fail(case, &format!("{dtype} on {device}"), format!("{part}: no gradient arrived"))
            }
        }
    }
    Ok(())
}

/// The stored tensor through the chain of views that the case gives for it.
fn viewed(case: &Case, name: &str, stored: Tensor) -> Result<Tensor> {
    let Some(chain) = case.json.get("views").and_then(|views| views.get(name)) else { return Ok(stored) };
    let mut x = stored;
    for view in chain.as_array().ok_or("views are not a list")? {
        let (kind, numbers) = view.as_array().and_then(|list| list.split_first()).ok_or("an empty view")?;
        let numbers: Option<Vec<i64>> = numbers.iter().map(Value::as_i64).collect();
        let numbers = numbers.ok_or_else(|| format!("{view}: not all of it are numbers"))?;
        let sizes =
            || numbers.iter().map(|&n| usize::try_from(n)).collect::<std::result::Result<Vec<_>, _>>();
        let dims: Vec<isize> = numbers.iter().map(|&n| n as isize).collect();
        x = match (kind.as_str().unwrap_or_default(), &numbers[..]) {
            ("permute", _) => ops::permute(&x, &dims)?,
            ("transpose", [_, _]) => x.transpose(dims[0], dims[1])?,
            ("slice", [dim, ..]) if numbers.len() == 4 => {
                let (dim, size) = (*dim as isize, x.size(*dim as isize)?);
                let [start, stop, step] = [1, 2, 3].map(|i| numbers[i]);
                // As in Python: a negative bound counts from the end, one beyond the end stops there.
                let bound = |n: i64| if n < 0 { n + size as i64 } else { n }.clamp(0, size as i64) as usize;
                x.slice(dim, bound(start), bound(stop), usize::try_from(step)?)?
            }
            ("expand", _) => x.expand(sizes()?)?,
            ("reshape" | "view", _) => x.view(&dims)?,
            _ => return Err(format!("the view {view} is unknown").into()),
        };
    }
    Ok(x)
}
