//! Convolutions in 2d and 3d.

use voxgrad_engine::ops::ConvOptions;
use voxgrad_engine::{Result, Tensor};
use voxgrad_kernels::ops::conv::{self as kernel, Conv as Sizes};

use super::{Case, Shaped, case};
use crate::common::Ladder;
use crate::common::input::{Input, uniform};

struct Conv<const N: usize> {
    what: String,
    /// [N, C, D, H, W], the depth left out in 2d.
    x: Vec<usize>,
    /// [O, C / groups, kD, kH, kW].
    w: Vec<usize>,
    options: ConvOptions<N>,
}

type Set<const N: usize> = fn(&mut ConvOptions<N>);

fn conv<const N: usize>(what: &'static str, x: &[usize], w: &[usize], set: Set<N>) -> Conv<N> {
    let mut options = ConvOptions::default();
    set(&mut options);
    Conv { what: what.to_string(), x: x.to_vec(), w: w.to_vec(), options }
}

fn conv2d() -> Vec<Conv<2>> {
    let same: Set<2> = |o| o.padding = [1, 1];
    vec![
        conv("a single channel", &[1, 1, 5, 5], &[1, 1, 3, 3], |_| {}),
        conv("odd sizes", &[2, 3, 7, 5], &[4, 3, 3, 3], |_| {}),
        conv("padding", &[2, 3, 5, 6], &[2, 3, 3, 3], same),
        conv("padding wider than the kernel", &[1, 2, 3, 3], &[2, 2, 2, 2], |o| o.padding = [3, 2]),
        conv("stride", &[2, 2, 8, 9], &[3, 2, 3, 3], |o| o.stride = [2, 3]),
        conv("dilation", &[1, 2, 9, 8], &[2, 2, 3, 3], |o| o.dilation = [2, 3]),
        conv("stride, padding and dilation", &[2, 3, 8, 9], &[2, 3, 3, 2], |o| {
            (o.stride, o.padding, o.dilation) = ([2, 1], [2, 1], [2, 1]);
        }),
        conv("two groups", &[2, 4, 5, 5], &[6, 2, 3, 3], |o| (o.groups, o.padding) = (2, [1, 1])),
        conv("a group per channel", &[1, 3, 6, 5], &[6, 1, 3, 3], |o| o.groups = 3),
        conv("a 1 x 1 kernel", &[2, 5, 3, 4], &[3, 5, 1, 1], |_| {}),
        conv("a 1 x 1 kernel, stride 2", &[2, 3, 5, 5], &[4, 3, 1, 1], |o| o.stride = [2, 2]),
        conv("a kernel as large as the image", &[2, 2, 4, 3], &[3, 2, 4, 3], |_| {}),
        conv("an oblong kernel", &[1, 2, 5, 7], &[2, 2, 1, 5], |o| o.padding = [0, 2]),
        conv("a batch of nothing", &[0, 2, 5, 5], &[3, 2, 3, 3], same),
        conv("17 channels", &[1, 17, 4, 5], &[3, 17, 3, 3], same),
        conv("the baseline's first", &[64, 3, 32, 32], &[16, 3, 3, 3], same),
        conv("the baseline's second", &[64, 16, 16, 16], &[8, 16, 3, 3], same),
        conv("blocks that do not divide", &[3, 19, 37, 41], &[21, 19, 3, 3], same),
        conv("a residual block", &[8, 32, 16, 16], &[32, 32, 3, 3], same),
        conv("two groups, many places", &[32, 4, 16, 16], &[6, 2, 3, 3], |o| {
            (o.groups, o.padding) = (2, [1, 1])
        }),
        conv("stride, many places", &[16, 18, 33, 31], &[20, 18, 3, 3], |o| {
            (o.stride, o.padding, o.dilation) = ([2, 3], [1, 2], [1, 2]);
        }),
        conv("28 x 28, 5 x 5", &[32, 1, 28, 28], &[16, 1, 5, 5], |o| o.padding = [2, 2]),
    ]
}

fn conv3d() -> Vec<Conv<3>> {
    let same: Set<3> = |o| o.padding = [1, 1, 1];
    vec![
        conv("a single channel", &[1, 1, 3, 3, 3], &[1, 1, 3, 3, 3], |_| {}),
        conv("odd sizes, padding", &[2, 2, 3, 4, 5], &[3, 2, 3, 3, 3], same),
        conv("stride", &[1, 2, 5, 4, 6], &[2, 2, 3, 2, 2], |o| o.stride = [2, 1, 3]),
        conv("dilation", &[1, 1, 5, 6, 5], &[2, 1, 2, 3, 2], |o| o.dilation = [3, 2, 1]),
        conv("groups, padding", &[1, 4, 3, 3, 4], &[4, 2, 2, 2, 3], |o| {
            (o.groups, o.padding) = (2, [0, 1, 2]);
        }),
        conv("a batch of nothing", &[0, 1, 3, 3, 3], &[2, 1, 3, 3, 3], same),
        conv("a nodule's first block", &[2, 1, 32, 48, 48], &[8, 1, 3, 3, 3], same),
        conv("a nodule's second block", &[1, 8, 16, 24, 24], &[16, 8, 3, 3, 3], same),
        conv("blocks that do not divide", &[1, 5, 9, 17, 19], &[7, 5, 3, 3, 3], same),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases = of("conv2d", conv2d(), Tensor::conv2d);
    cases.extend(of("conv3d", conv3d(), Tensor::conv3d));
    cases
}

const IN_2D: [&str; 3] = ["conv2d", "conv2d_backward_input", "conv2d_backward_weight"];
const IN_3D: [&str; 3] = ["conv3d", "conv3d_backward_input", "conv3d_backward_weight"];

pub fn ladders() -> Vec<Ladder> {
    let mut ladders = kernels(IN_2D, conv2d());
    ladders.extend(kernels(IN_3D, conv3d()));
    ladders
}

/// Those of one convolution with as much padding as keeps the size, where the kernel's is odd.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    fn one<const N: usize>(names: [&'static str; 3], x: &[usize], w: &[usize]) -> Shaped {
        let padding: [usize; N] = std::array::from_fn(|d| w[d + 2] / 2);
        let options = ConvOptions { padding, ..ConvOptions::default() };
        let what = format!("{x:?} by {w:?}, padding {padding:?}");
        let conv = Conv { what, x: x.to_vec(), w: w.to_vec(), options };
        conv.sizes().map_err(|error| error.to_string())?;
        Ok(kernels(names, vec![conv]))
    }
    match shapes {
        [x, w] if x.len() == 4 && w.len() == 4 => one::<2>(IN_2D, x, w),
        [x, w] if x.len() == 5 && w.len() == 5 => one::<3>(IN_3D, x, w),
        _ => Err(
            "a convolution takes two shapes: N,C,H,W of the input and O,C,KH,KW of the weight; in 3d with a \
                  depth before the height"
                .into(),
        ),
    }
}

type Op<const N: usize> = fn(&Tensor, &Tensor, Option<&Tensor>, ConvOptions<N>) -> Result<Tensor>;

/// Every convolution of the table, with and without a bias.
fn of<const N: usize>(name: &'static str, table: Vec<Conv<N>>, op: Op<N>) -> Vec<Case> {
    let mut cases = Vec::new();
    for conv in table {
        let (options, flops) = (conv.options, conv.possible().flops());
        let inputs: [Input; 3] = [uniform(&conv.x), uniform(&conv.w), uniform(&conv.w[..1])];
        let timed = |case: Case| if flops > 1_000_000 { case.large(flops) } else { case };
        let bias = format!("{}, bias", conv.what);
        cases.push(timed(case(name, bias, inputs.clone(), move |t| op(&t[0], &t[1], Some(&t[2]), options))));
        cases.push(timed(case(name, &conv.what, &inputs[..2], move |t| op(&t[0], &t[1], None, options))));
    }
    cases
}

/// The three kernels of every convolution of the table.
fn kernels<const N: usize>(
    [forward, backward_input, backward_weight]: [&'static str; 3],
    table: Vec<Conv<N>>,
) -> Vec<Ladder> {
    let mut ladders = Vec::new();
    for conv in table {
        let p = conv.possible();
        let (x, w, bias) = (uniform(&conv.x), uniform(&conv.w), uniform(&conv.w[..1]));
        let dy = uniform(&p.output_shape::<N>());
        let mut push = |name, inputs: Vec<Input>, run: fn(usize, &Sizes, &[_]) -> _| {
            let run = move |rung, t: &[_]| Ok(vec![run(rung, &p, t)?]);
            let rungs = [kernel::RUNGS, kernel::GPU_RUNGS];
            ladders
                .push(Ladder::new(name, &conv.what, rungs, inputs, p.flops(), run).torch(conv.torch(name)));
        };
        push(forward, vec![x.clone(), w.clone(), bias], |rung, p, t| {
            kernel::forward_rung(rung, p, &t[0], &t[1], Some(&t[2]))
        });
        push(backward_input, vec![dy.clone(), w], |rung, p, t| {
            kernel::backward_input_rung(rung, p, &t[0], &t[1])
        });
        push(backward_weight, vec![dy, x], |rung, p, t| kernel::backward_weight_rung(rung, p, &t[0], &t[1]));
    }
    ladders
}

impl<const N: usize> Conv<N> {
    fn sizes(&self) -> voxgrad_kernels::Result<Sizes> {
        let o = &self.options;
        Sizes::new("conv", &self.x, &self.w, o.stride, o.padding, o.dilation, o.groups)
    }

    fn possible(&self) -> Sizes {
        self.sizes().expect("the table holds possible convolutions")
    }

    /// The kernel `name` in PyTorch's words.
    fn torch(&self, name: &str) -> String {
        let ConvOptions { stride, padding, dilation, groups } = self.options;
        let options =
            format!("stride={stride:?}, padding={padding:?}, dilation={dilation:?}, groups={groups}");
        match name.split_once("_backward_") {
            Some((conv, "input")) => {
                format!("torch.nn.grad.{conv}_input({:?}, t[1], t[0], {options})", self.x)
            }
            Some((conv, _)) => format!("torch.nn.grad.{conv}_weight(t[1], {:?}, t[0], {options})", self.w),
            None => format!("F.{name}(t[0], t[1], t[2], {options})"),
        }
    }
}
