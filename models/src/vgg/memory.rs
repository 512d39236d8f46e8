//! How much memory a network of layers in a row takes, worked out from its shapes.
//!
//! Without gradients an activation lives until the next layer has used it. With them, each op keeps what
//! its derivative is computed from until the way back has passed it:
//!
//! | op | keeps |
//! |---|---|
//! | convolution, linear layer, batch-norm | its input |
//! | relu | its output, which the next layer's input is anyway |
//! | max-pooling | where in each window the maximum was: a whole number for each output |
//! | flatten, dropout | nothing |
//!
//! The way back then holds, at each layer, the gradients of its output and its input, and those of all
//! parameters that it has passed; relu's gradients are one, in one place (on a GPU they are two). Not counted is
//! what a kernel allocates while it runs.

use std::fmt;

use voxgrad_engine::Shape;
use voxgrad_engine::nn::{Summary, SummaryRow};

/// Bytes of an f32, and of a u32.
const NUMBER: u64 = 4;

/// The memory for a batch, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Images of the batch.
    pub batch_size: usize,
    /// All ops, the input first.
    pub layers: Vec<LayerMemory>,
    /// The parameters.
    pub parameters: u64,
    /// The most at once in a forward pass without gradients, parameters included.
    pub inference: u64,
    /// What a forward pass keeps for the way back, the input included.
    pub kept: u64,
    /// The most at once in a forward pass and the way back: parameters, their gradients, activations. An
    /// optimizer has its own beside it: SGD nothing, with momentum as much as the parameters, Adam twice.
    pub training: u64,
}

/// The memory of an op, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerMemory {
    /// The dotted name of its layer; empty for a function.
    pub layer: String,
    /// Its name.
    pub op: &'static str,
    /// The shape of what it gives for one image.
    pub output: Shape,
    /// What it gives.
    pub activations: u64,
    /// What of it, and beside it, is kept for the way back.
    pub kept: u64,
}

impl MemoryPlan {
    /// The plan of a network whose layers run in a row, by its summary for a single image.
    pub fn new(summary: &Summary, batch_size: usize) -> MemoryPlan {
        let mut ops: Vec<Op> = Vec::new();
        for row in &summary.rows {
            ops.push(Op::of(row, batch_size));
            // A summary is made in evaluation mode, in which dropout does nothing.
            if let [.., linear, relu] = &ops[..]
                && (linear.op, relu.op) == ("linear", "relu")
            {
                let dropout = Op { op: "dropout", keeps_output: false, ..relu.clone() };
                ops.push(dropout);
            }
        }
        let parameters = NUMBER * summary.parameters as u64;
        let inference = parameters + Walk::forward(&ops, false).most;
        let mut walk = Walk::forward(&ops, true);
        let (kept, holders) = (walk.live, walk.holders.clone());
        walk.back(&ops);
        let layer = |(i, op): (usize, &Op)| LayerMemory {
            layer: op.layer.clone(),
            op: op.op,
            output: op.output.clone(),
            activations: op.bytes,
            kept: op.beside + if holders[i] > 0 { op.bytes } else { 0 },
        };
        let layers = ops.iter().enumerate().map(layer).collect();
        MemoryPlan { batch_size, layers, parameters, inference, kept, training: parameters + walk.most }
    }
}

/// An op and what it holds.
#[derive(Clone)]
struct Op {
    layer: String,
    op: &'static str,
    output: Shape,
    /// Of its output; 0 when that is its input in another shape.
    bytes: u64,
    /// Made beside its output: what a way back asks for of its own.
    beside: u64,
    /// Of its parameters' gradients.
    gradients: u64,
    keeps_input: bool,
    keeps_output: bool,
}

impl Op {
    fn of(row: &SummaryRow, batch_size: usize) -> Op {
        let bytes = NUMBER * batch_size as u64 * row.output.iter().product::<usize>() as u64;
        let channels = row.output.get(1).copied().unwrap_or(0) as u64;
        let pools = row.op.ends_with("max_pool2d") || row.op.ends_with("max_pool");
        Op {
            layer: row.layer.clone(),
            op: row.op,
            output: row.output.clone(),
            bytes: if row.op == "flatten" { 0 } else { bytes },
            beside: match row.op {
                // A mean and a variance of each channel.
                "batch_norm" => 2 * NUMBER * channels,
                _ if pools => bytes,
                _ => 0,
            },
            gradients: NUMBER * row.parameters as u64,
            keeps_input: ["conv2d", "linear", "batch_norm"].contains(&row.op),
            keeps_output: row.op == "relu",
        }
    }
}

/// A step of training in thought: what lives when.
struct Walk {
    /// By op: how many hold its output.
    holders: Vec<u32>,
    live: u64,
    most: u64,
}

impl Walk {
    /// The ops in order; with gradients they keep what they need for the way back.
    fn forward(ops: &[Op], gradients: bool) -> Walk {
        let mut walk = Walk { holders: vec![0; ops.len()], live: 0, most: 0 };
        // The caller holds the input all the time.
        walk.hold(ops, 0);
        for (i, op) in ops.iter().enumerate().skip(1) {
            walk.hold(ops, i);
            // Without a way back, batch-norm has the running statistics; pooling finds the places anyway.
            let beside = if gradients || op.op != "batch_norm" { op.beside } else { 0 };
            walk.live += beside;
            walk.most = walk.most.max(walk.live);
            if gradients {
                (0..u32::from(op.keeps_input)).for_each(|_| walk.hold(ops, input(ops, i)));
                (0..u32::from(op.keeps_output)).for_each(|_| walk.hold(ops, i));
            } else {
                walk.live -= beside;
            }
            // An output in another shape is the same memory: it goes on being held.
            let before = input(ops, i);
            if op.bytes > 0 && before > 0 {
                walk.release(ops, before);
            }
        }
        walk
    }

    /// From the gradient of the last output, which the loss has given, back to the first layer.
    fn back(&mut self, ops: &[Op]) {
        let (mut gradients, mut dy) = (0, ops.last().map_or(0, |op| op.bytes));
        for (i, op) in ops.iter().enumerate().skip(1).rev() {
            let before = input(ops, i);
            // Nobody wants the gradient of the images.
            let dx = if before == 0 || op.bytes == 0 { 0 } else { ops[before].bytes };
            gradients += op.gradients;
            // The gradient of a function takes the place of the one that arrives.
            let both = if op.op == "relu" { dy } else { dy + dx };
            self.most = self.most.max(self.live + gradients + both);
            if op.keeps_input {
                self.release(ops, before);
            }
            if op.keeps_output {
                self.release(ops, i);
            }
            self.live -= op.beside;
            dy = if op.bytes == 0 { dy } else { dx };
        }
    }

    fn hold(&mut self, ops: &[Op], i: usize) {
        self.live += if self.holders[i] == 0 { ops[i].bytes } else { 0 };
        self.holders[i] += 1;
    }

    fn release(&mut self, ops: &[Op], i: usize) {
        self.holders[i] -= 1;
        self.live -= if self.holders[i] == 0 { ops[i].bytes } else { 0 };
    }
}

/// The op whose memory is the input of op `i`.
fn input(ops: &[Op], i: usize) -> usize {
    (0..i).rev().find(|&before| ops[before].bytes > 0).unwrap_or(0)
}

/// A row per op, then the sums, in MiB.
impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = |layer: &LayerMemory| layer.output.to_string();
        let widths = self.layers.iter().map(|layer| (layer.layer.len(), shape(layer).len()));
        let (name, output) = widths.fold((5, 6), |(a, b), (c, d)| (a.max(c), b.max(d)));
        let images = if self.batch_size == 1 { "image" } else { "images" };
        writeln!(f, "Memory for {} {images}, in MiB", self.batch_size)?;
        writeln!(f, "{:<name$}  {:<10}  {:<output$}  activations     kept", "layer", "op", "output")?;
        for layer in &self.layers {
            let (of, op, shape) = (&layer.layer, layer.op, shape(layer));
            let (activations, kept) = (mib(layer.activations), mib(layer.kept));
            writeln!(f, "{of:<name$}  {op:<10}  {shape:<output$}  {activations:>11}  {kept:>7}")?;
        }
        writeln!(f, "parameters                     {:>8}", mib(self.parameters))?;
        writeln!(f, "kept for the way back          {:>8}", mib(self.kept))?;
        writeln!(f, "the most at once, to classify  {:>8}", mib(self.inference))?;
        writeln!(f, "the most at once, to train     {:>8}", mib(self.training))?;
        writeln!(f, "beside it, with momentum       {:>8}", mib(self.parameters))?;
        write!(f, "beside it, with Adam           {:>8}", mib(2 * self.parameters))
    }
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / (1 << 20) as f64)
}
