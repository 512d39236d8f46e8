//! Kernels that come in several rungs, each called by itself.

use voxgrad_engine::{DType, Device};
use voxgrad_kernels::{Result, Storage};

use super::input::Input;

type Prepare = Box<dyn Fn(Vec<Storage>) -> Result<Vec<Storage>> + Send + Sync>;
type Run = Box<dyn Fn(usize, &[Storage]) -> Result<Vec<Storage>> + Send + Sync>;

/// One kernel function, with all its rungs, on one set of buffers.
pub struct Ladder {
    /// The kernel: op and pass.
    pub kernel: &'static str,
    /// The sizes.
    pub what: String,
    /// The names of the rungs on the CPU and on a GPU, the plain one first.
    rungs: [&'static [&'static str]; 2],
    inputs: Vec<Input>,
    /// What is done to the inputs once, before any run.
    prepare: Prepare,
    run: Run,
    /// Floating-point operations of one run.
    pub flops: u64,
    /// The same in Python, of the inputs `t`; empty where PyTorch has no such thing.
    pub torch: String,
}

impl Ladder {
    pub fn new(
        kernel: &'static str,
        what: impl Into<String>,
        rungs: [&'static [&'static str]; 2],
        inputs: impl Into<Vec<Input>>,
        flops: u64,
        run: impl Fn(usize, &[Storage]) -> Result<Vec<Storage>> + Send + Sync + 'static,
    ) -> Ladder {
        let (what, inputs) = (what.into(), inputs.into());
        let (prepare, run, torch) = (Box::new(Ok), Box::new(run), String::new());
        Ladder { kernel, what, rungs, inputs, prepare, run, flops, torch }
    }

    /// With the buffers that `prepare` makes of the inputs.
    pub fn prepared(
        self,
        prepare: impl Fn(Vec<Storage>) -> Result<Vec<Storage>> + Send + Sync + 'static,
    ) -> Ladder {
        Ladder { prepare: Box::new(prepare), ..self }
    }

    /// With what it is in PyTorch.
    pub fn torch(self, torch: impl Into<String>) -> Ladder {
        Ladder { torch: torch.into(), ..self }
    }

    /// The shapes of the inputs.
    pub fn shapes(&self) -> impl Iterator<Item = &[usize]> {
        self.inputs.iter().map(|input| &input.shape[..])
    }

    /// The names of the rungs on `device`, the plain one first.
    pub fn rungs_on(&self, device: &Device) -> &'static [&'static str] {
        self.rungs_of(*device != Device::Cpu)
    }

    /// Those on a GPU, or on the CPU.
    pub fn rungs_of(&self, gpu: bool) -> &'static [&'static str] {
        self.rungs[usize::from(gpu)]
    }

    pub fn name(&self) -> String {
        format!("{} ({})", self.kernel, self.what)
    }

    /// Bytes that one run in f32 at least reads.
    pub fn bytes(&self) -> u64 {
        self.inputs.iter().map(|input| 4 * input.numel() as u64).sum()
    }

    pub fn buffers(&self, dtype: DType, device: &Device) -> Result<Vec<Storage>> {
        let make = |(stream, input): (usize, &Input)| -> Result<Storage> {
            let values = input.values(super::cases::seed(&self.name()), stream as u64);
            match dtype {
                DType::F64 => Storage::from_slice(device, &values),
                _ => {
                    let values: Vec<f32> = values.iter().map(|&x| x as f32).collect();
                    Storage::from_slice(device, &values)
                }
            }
        };
        (self.prepare)(self.inputs.iter().enumerate().map(make).collect::<Result<_>>()?)
    }

    pub fn run(&self, rung: usize, buffers: &[Storage]) -> Result<Vec<Storage>> {
        (self.run)(rung, buffers)
    }
}
