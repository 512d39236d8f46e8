//! A network as a table: its layers, the shapes between them, and what they cost.

use std::fmt;

use super::{Module, Step, evaluating, trace};
use crate::columns::{columns, thousands};
use crate::{DType, Device, Result, Shape, Tensor, no_grad};

/// What a network does with an input of one shape: [`Module::summary`]. Its `Display` is a table.
#[derive(Debug)]
pub struct Summary {
    /// The input, then every op in order.
    pub rows: Vec<SummaryRow>,
    /// How many numbers training can change; shared ones count once.
    pub parameters: usize,
    /// The products that a forward pass adds up.
    pub multiply_adds: u64,
}

/// An op of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryRow {
    /// The dotted name of its layer; empty for a function, such as tanh.
    pub layer: String,
    /// Its name.
    pub op: &'static str,
    /// The shape of what it gives.
    pub output: Shape,
    /// The parameters it uses and none before it has used.
    pub parameters: usize,
    /// The products it adds up.
    pub multiply_adds: u64,
}

pub(super) fn summary<M: Module + ?Sized>(module: &M, input: &[usize]) -> Result<Summary> {
    let (dtype, device) = match module.parameters().first() {
        Some(parameter) => (parameter.dtype(), parameter.device()),
        None => (DType::F32, Device::cpu()),
    };
    let x = Tensor::zeros(input, dtype, &device)?;
    let trace = evaluating(|| no_grad(|| trace::trace(module, &x)));
    trace.output?;
    let row = |Step { layer, op, output, parameters, multiply_adds }: Step| {
        let output = output.shape().clone();
        SummaryRow { layer, op, output, parameters, multiply_adds }
    };
    let rows: Vec<SummaryRow> = trace.steps.into_iter().map(row).collect();
    let multiply_adds = rows.iter().map(|row| row.multiply_adds).sum();
    Ok(Summary { rows, parameters: module.num_parameters(), multiply_adds })
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n| if n == 0 { String::new() } else { thousands(n) };
        let cells = |row: &SummaryRow| {
            let (parameters, multiply_adds) = (count(row.parameters as u64), count(row.multiply_adds));
            [row.layer.clone(), row.op.to_string(), row.output.to_string(), parameters, multiply_adds]
        };
        let mut rows: Vec<_> = self.rows.iter().map(cells).collect();
        let (parameters, multiply_adds) = (thousands(self.parameters as u64), thousands(self.multiply_adds));
        rows.push(["total".into(), String::new(), String::new(), parameters, multiply_adds]);
        f.write_str(&columns(["layer", "op", "output", "parameters", "multiply-adds"], 3, &rows))
    }
}
