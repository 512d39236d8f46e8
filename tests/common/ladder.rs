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
        Ladder { kernel, what, rungs, inputs, prepare: Box::new(Ok), run: Box::new(run), flops }
    }

    /// With the buffers that `prepare` makes of the inputs.
    pub fn prepared(
        self,
        prepare: impl Fn(Vec<Storage>) -> Result<Vec<Storage>> + Send + Sync + 'static,
    ) -> Ladder {
        Ladder { prepare: Box::new(prepare), ..self }
    }

    /// The names of the rungs on `device`, the plain one first.
    pub fn rungs_on(&self, device: &Device) -> &'static [&'static str] {
        self.rungs[usize::from(*device != Device::Cpu)]
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
