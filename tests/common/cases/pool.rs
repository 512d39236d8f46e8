//! Pooling. Maxima are taken of values that differ from one another.

use voxgrad_engine::ops::PoolOptions;
use voxgrad_engine::{Result, Tensor};
use voxgrad_kernels::ops::pool::{self as kernel, Pool as Sizes, Window};

use super::{Case, Shaped, case};
use crate::common::Ladder;
use crate::common::input::{distinct, uniform};

struct Pool<const N: usize> {
    what: String,
    x: Vec<usize>,
    options: PoolOptions<N>,
}

type Set<const N: usize> = fn(&mut PoolOptions<N>);

fn pool<const N: usize>(what: &str, x: &[usize], kernel_size: [usize; N], set: Set<N>) -> Pool<N> {
    let mut options = PoolOptions::new(kernel_size);
    set(&mut options);
    Pool { what: what.to_string(), x: x.to_vec(), options }
}

fn pool2d() -> Vec<Pool<2>> {
    vec![
        pool("2 x 2", &[2, 3, 6, 4], [2, 2], |_| {}),
        pool("odd sizes, a rest is left over", &[1, 2, 7, 5], [2, 2], |_| {}),
        pool("overlapping", &[2, 1, 7, 6], [3, 3], |o| o.stride = [2, 2]),
        pool("stride 1, padding", &[1, 2, 5, 4], [3, 3], |o| (o.stride, o.padding) = ([1, 1], [1, 1])),
        pool("oblong", &[1, 2, 6, 7], [1, 3], |o| (o.stride, o.padding) = ([2, 2], [0, 1])),
        pool("stride beyond the window", &[1, 1, 8, 9], [2, 2], |o| o.stride = [3, 3]),
        pool("a batch of nothing", &[0, 2, 4, 4], [2, 2], |_| {}),
        pool("the baseline's first", &[64, 16, 32, 32], [2, 2], |_| {}),
        pool("overlapping images", &[64, 16, 33, 31], [3, 3], |o| {
            (o.stride, o.padding) = ([2, 2], [1, 1]);
        }),
    ]
}

fn pool3d() -> Vec<Pool<3>> {
    vec![
        pool("2 x 2 x 2", &[1, 2, 4, 2, 6], [2, 2, 2], |_| {}),
        pool("odd sizes, a rest is left over", &[2, 1, 5, 3, 4], [2, 2, 2], |_| {}),
        pool("oblong, padding", &[1, 2, 3, 4, 5], [1, 2, 3], |o| {
            (o.stride, o.padding) = ([1, 2, 2], [0, 1, 1]);
        }),
        pool("a batch of nothing", &[0, 2, 2, 4, 4], [2, 2, 2], |_| {}),
        pool("a nodule's first block", &[2, 8, 32, 48, 48], [2, 2, 2], |_| {}),
    ]
}

pub fn cases() -> Vec<Case> {
    let mut cases =
        of("max_pool2d", Tensor::max_pool2d_with, "avg_pool2d", Tensor::avg_pool2d_with, pool2d());
    cases.extend(of("max_pool3d", Tensor::max_pool3d_with, "avg_pool3d", Tensor::avg_pool3d_with, pool3d()));
    let dilated = PoolOptions { stride: [1, 1], dilation: [2, 3], ..PoolOptions::new([2, 2]) };
    let x = [distinct(0, &[2, 2, 6, 7])];
    cases.push(case("max_pool2d", "dilation", x, move |t| t[0].max_pool2d_with(dilated)));
    let dilated = PoolOptions { dilation: [2, 1, 2], ..PoolOptions::new([2, 2, 2]) };
    let x = [distinct(0, &[1, 2, 6, 4, 5])];
    cases.push(case("max_pool3d", "dilation", x, move |t| t[0].max_pool3d_with(dilated)));
    let x = [distinct(0, &[1, 1, 6, 6])];
    cases.push(case("max_pool2d", "by one number", x.clone(), |t| t[0].max_pool2d(3)));
    cases.push(case("max_pool2d", "by two numbers", x.clone(), |t| t[0].max_pool2d([3, 2])));
    cases.push(case("avg_pool2d", "by one number", x, |t| t[0].avg_pool2d(3)));
    let x = [distinct(0, &[1, 1, 4, 4, 4])];
    cases.push(case("max_pool3d", "by one number", x.clone(), |t| t[0].max_pool3d(2)));
    cases.push(case("avg_pool3d", "by one number", x, |t| t[0].avg_pool3d(2)));
    for x in [&[2, 3, 5, 7][..], &[1, 2, 3, 4, 5], &[0, 2, 3, 3], &[32, 64, 17, 19]] {
        let (timed, what) = (timed(x), format!("{x:?}"));
        cases.push(timed(case("global_max_pool", &what, [distinct(0, x)], |t| t[0].global_max_pool())));
        cases.push(timed(case("global_avg_pool", &what, [uniform(x)], |t| t[0].global_avg_pool())));
    }
    cases
}

type Op<const N: usize> = fn(&Tensor, PoolOptions<N>) -> Result<Tensor>;

/// The maximum and both averages of every pooling of the table.
fn of<const N: usize>(
    max_name: &'static str,
    max: Op<N>,
    avg_name: &'static str,
    avg: Op<N>,
    table: Vec<Pool<N>>,
) -> Vec<Case> {
    let mut cases = Vec::new();
    for Pool { what, x, options } in table {
        let timed = timed(&x);
        cases.push(timed(case(max_name, &what, [distinct(0, &x)], move |t| max(&t[0], options))));
        cases.push(timed(case(avg_name, &what, [uniform(&x)], move |t| avg(&t[0], options))));
        let inside = PoolOptions { count_include_pad: false, ..options };
        let name = format!("{what}, the margin does not count");
        cases.push(timed(case(avg_name, name, [uniform(&x)], move |t| avg(&t[0], inside))));
    }
    cases
}

/// Marks the large ones: a comparison or an addition per input element.
fn timed(x: &[usize]) -> impl Fn(Case) -> Case + use<> {
    let numel = x.iter().product::<usize>() as u64;
    move |case| if numel > 10_000 { case.large(numel) } else { case }
}

/// Those of windows of 2 in each dimension.
pub fn shaped(shapes: &[Vec<usize>]) -> Shaped {
    let mut ladders = Vec::new();
    match shapes {
        [x] if x[2..].iter().any(|&size| size < 2) => {
            return Err(format!("{x:?}: a window of 2 needs 2 places in each dimension"));
        }
        [x] if x.len() == 4 => pool(&format!("{x:?} by 2"), x, [2, 2], |_| {}).kernels(&mut ladders),
        [x] if x.len() == 5 => pool(&format!("{x:?} by 2"), x, [2, 2, 2], |_| {}).kernels(&mut ladders),
        _ => return Err("pooling takes one shape: N,C,H,W, or N,C,D,H,W".into()),
    }
    Ok(ladders)
}

pub fn ladders() -> Vec<Ladder> {
    let mut ladders = Vec::new();
    pool2d().iter().for_each(|pool| pool.kernels(&mut ladders));
    pool3d().iter().for_each(|pool| pool.kernels(&mut ladders));
    ladders
}

impl<const N: usize> Pool<N> {
    /// The four kernels on the sizes of this pooling.
    fn kernels(&self, ladders: &mut Vec<Ladder>) {
        let p = self.sizes();
        let flops = self.x.iter().product::<usize>() as u64;
        let outputs = self.x[0] * self.x[1] * p.out_size().iter().product::<usize>();
        let dy = uniform(&[outputs]);
        let mut push = |ladder: Ladder| ladders.push(ladder);
        let named = |kernel, inputs: &[_], run: fn(usize, &Sizes, &[_]) -> _| {
            let what = format!("{N}d, {}", self.what);
            let rungs = [kernel::RUNGS, kernel::GPU_RUNGS];
            let ladder = Ladder::new(kernel, what, rungs, inputs, flops, move |rung, t| run(rung, &p, t));
            ladder.torch(self.torch(kernel))
        };
        push(named("max_pool", &[distinct(0, &self.x)], |rung, p, t| {
            let (y, argmax) = kernel::max_forward_rung(rung, p, &t[0])?;
            Ok(vec![y, argmax])
        }));
        let max_backward = named("max_pool_backward", &[distinct(0, &self.x), dy.clone()], |rung, p, t| {
            Ok(vec![kernel::max_backward_rung(rung, p, &t[0], &t[1])?])
        });
        push(max_backward.prepared(move |mut t| {
            t[0] = kernel::max_forward_rung(0, &p, &t[0])?.1;
            Ok(t)
        }));
        push(named("avg_pool", &[uniform(&self.x)], |rung, p, t| {
            Ok(vec![kernel::avg_forward_rung(rung, p, &t[0])?])
        }));
        push(named("avg_pool_backward", &[dy], |rung, p, t| {
            Ok(vec![kernel::avg_backward_rung(rung, p, &t[0])?])
        }));
    }

    /// The kernel in PyTorch's words. Its backward passes need what these buffers do not hold.
    fn torch(&self, kernel: &str) -> String {
        let PoolOptions { kernel_size, stride, padding, .. } = self.options;
        match kernel {
            "max_pool" | "avg_pool" => {
                format!("F.{kernel}{N}d(t[0], {kernel_size:?}, stride={stride:?}, padding={padding:?})")
            }
            _ => String::new(),
        }
    }

    fn sizes(&self) -> Sizes {
        let three = |sizes: &[usize], missing| {
            let mut all = [missing; 3];
            all[3 - N..].copy_from_slice(sizes);
            all
        };
        let o = &self.options;
        let window = Window {
            kernel: three(&o.kernel_size, 1),
            stride: three(&o.stride, 1),
            padding: three(&o.padding, 0),
            dilation: three(&o.dilation, 1),
            count_include_pad: o.count_include_pad,
        };
        Sizes::new("pool", self.x[0] * self.x[1], three(&self.x[2..], 1), &window)
            .expect("the table holds possible poolings")
    }
}
