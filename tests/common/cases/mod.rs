//! The table of cases: what every op is tried on. Gradcheck, the parity test and the benches all
//! run it.

mod arithmetic;
mod batch_norm;
mod conv;
mod dropout;
mod elementwise;
mod grid_sample;
mod layout;
mod loss;
mod matmul;
mod pool;
mod reduce;
mod softmax;

use voxgrad_engine::{DType, Device, Result, Tensor};

use super::Ladder;
use super::input::Input;

type Run = Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync>;

/// The ladders of shapes that somebody gave, or what shapes there can be.
type Shaped = std::result::Result<Vec<Ladder>, String>;

/// One op on one set of shapes and options.
pub struct Case {
    /// The op, by its name in the engine.
    pub op: &'static str,
    /// What is special about this case.
    pub what: String,
    pub inputs: Vec<Input>,
    /// The outputs of the op; a gradient arrives at the first.
    run: Run,
    /// Whether the gradient exists.
    pub differentiable: bool,
    /// Too large for finite differences, large enough to be timed: the floating-point operations
    /// of the forward pass.
    pub flops: Option<u64>,
    /// What the outputs may differ by between f32 and f64 relative to the largest value.
    pub tolerance: f64,
}

/// A case with one output.
pub fn case(
    op: &'static str,
    what: impl Into<String>,
    inputs: impl Into<Vec<Input>>,
    run: impl Fn(&[Tensor]) -> Result<Tensor> + Send + Sync + 'static,
) -> Case {
    case_with(op, what, inputs, move |x| Ok(vec![run(x)?]))
}

/// A case with several outputs.
pub fn case_with(
    op: &'static str,
    what: impl Into<String>,
    inputs: impl Into<Vec<Input>>,
    run: impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'static,
) -> Case {
    Case {
        op,
        what: what.into(),
        inputs: inputs.into(),
        run: Box::new(run),
        differentiable: true,
        flops: None,
        tolerance: 1e-4,
    }
}

impl Case {
    /// A large case: not for finite differences, but timed.
    fn large(self, flops: u64) -> Case {
        Case { flops: Some(flops), ..self }
    }

    /// An op without a gradient.
    fn without_gradient(self) -> Case {
        Case { differentiable: false, ..self }
    }

    /// A wider (or narrower) bound on the largest error, for a reason that the table gives.
    fn tolerance(self, tolerance: f64) -> Case {
        Case { tolerance, ..self }
    }

    /// The op and what is special: a name for messages, and the seed of the inputs.
    pub fn name(&self) -> String {
        format!("{} ({})", self.op, self.what)
    }

    /// The inputs, the differentiable ones as leaves.
    pub fn tensors(&self, dtype: DType, device: &Device) -> Result<Vec<Tensor>> {
        let make = |(stream, input): (usize, &Input)| {
            let x = input.tensor(seed(&self.name()), stream as u64, dtype, device)?;
            Ok(if input.differentiable && self.differentiable { x.requires_grad() } else { x })
        };
        self.inputs.iter().enumerate().map(make).collect()
    }

    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        (self.run)(inputs)
    }
}

/// FNV-1a of the name: a case keeps its numbers when others are added before it.
pub(super) fn seed(name: &str) -> u64 {
    name.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Every case.
pub fn all() -> Vec<Case> {
    let families = [
        elementwise::cases(),
        arithmetic::cases(),
        reduce::cases(),
        layout::cases(),
        matmul::cases(),
        conv::cases(),
        pool::cases(),
        batch_norm::cases(),
        dropout::cases(),
        softmax::cases(),
        loss::cases(),
        grid_sample::cases(),
    ];
    families.into_iter().flatten().filter(|case| asked_for(case.op)).collect()
}

/// Whether all ops are asked for, and not some by `VOXGRAD_OPS`.
pub fn all_asked_for() -> bool {
    std::env::var_os("VOXGRAD_OPS").is_none()
}

/// Whether `VOXGRAD_OPS`, a comma-separated list of beginnings of names, has this op. Without it all
/// are asked for.
fn asked_for(op: &str) -> bool {
    let Ok(ops) = std::env::var("VOXGRAD_OPS") else { return true };
    ops.split(',').any(|beginning| op.starts_with(beginning.trim()))
}

/// Every kernel with several rungs.
pub fn ladders() -> Vec<Ladder> {
    let families = [
        elementwise::ladders(),
        reduce::ladders(),
        matmul::ladders(),
        conv::ladders(),
        pool::ladders(),
        dropout::ladders(),
        grid_sample::ladders(),
        batch_norm::ladders(),
        softmax::ladders(),
        loss::ladders(),
    ];
    families.into_iter().flatten().filter(|ladder| asked_for(ladder.kernel)).collect()
}

/// The ladder of the kernel `op` on inputs of these shapes, and of the usual options.
///
/// # Errors
/// What shapes the op takes, in words.
pub fn shaped(op: &str, shapes: &[Vec<usize>]) -> std::result::Result<Ladder, String> {
    let family = match op.split('_').next().unwrap_or_default() {
        "conv2d" | "conv3d" => conv::shaped,
        "matmul" => matmul::shaped,
        "max" | "avg" if op.contains("pool") => pool::shaped,
        "sum" | "max" | "min" => reduce::shaped,
        "batch" => batch_norm::shaped,
        "dropout" => dropout::shaped,
        "softmax" => softmax::shaped,
        "cross" => loss::shaped,
        "grid" => grid_sample::shaped,
        _ => elementwise::shaped,
    };
    let found = family(shapes)?.into_iter().find(|ladder| ladder.kernel == op);
    found.ok_or_else(|| format!("{op} takes no such shapes: it has another number of dimensions"))
}
