//! What a caller can get wrong: each is a clear error or a defined result, never a panic.

use voxgrad_engine::ops::{ConvOptions, CrossEntropyOptions, PaddingMode, PoolOptions, Reduction};
use voxgrad_engine::optim::{Adam, SGD};
use voxgrad_engine::{DType, Device, Tensor, no_grad};

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &Device::cpu()).unwrap()
}

fn floats(data: &[f32]) -> Tensor {
    Tensor::new(data, [data.len()], &Device::cpu()).unwrap()
}

fn labels(data: &[u32]) -> Tensor {
    Tensor::new(data, [data.len()], &Device::cpu()).unwrap()
}

/// The call fails, and its message holds all these parts.
#[track_caller]
fn refuses<T, E: std::fmt::Display>(result: std::result::Result<T, E>, parts: &[&str]) {
    let Err(error) = result else { panic!("accepted, where an error with {parts:?} was expected") };
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{message:?} does not say {part:?}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_all_named() {
    let x = zeros(&[64, 3, 32, 32]);
    let options = ConvOptions::<2>::default;
    let wrong_channels = x.conv2d(&zeros(&[16, 4, 3, 3]), None, options());
    refuses(wrong_channels, &["conv2d", "[64, 3, 32, 32]", "[16, 4, 3, 3]", "3 channels", "expects 4"]);
    let wrong_bias = x.conv2d(&zeros(&[16, 3, 3, 3]), Some(&zeros(&[15])), options());
    refuses(wrong_bias, &["conv2d", "[15]", "16"]);
    refuses(x.conv2d(&zeros(&[16, 3, 33, 3]), None, options()), &["conv2d", "[16, 3, 33, 3]"]);
    let groups = ConvOptions { groups: 2, ..options() };
    refuses(x.conv2d(&zeros(&[16, 3, 3, 3]), None, groups), &["conv2d", "groups"]);
    for nothing in
        [ConvOptions { stride: [0, 1], ..options() }, ConvOptions { dilation: [1, 0], ..options() }]
    {
        refuses(x.conv2d(&zeros(&[16, 3, 3, 3]), None, nothing), &["conv2d", "0"]);
    }
    refuses(x.conv2d(&zeros(&[16, 3, 3, 3]), None, ConvOptions { groups: 0, ..options() }), &["conv2d", "0"]);
    refuses(
        x.conv3d(&zeros(&[16, 3, 3, 3, 3]), None, ConvOptions::default()),
        &["conv3d", "[64, 3, 32, 32]"],
    );

    refuses(zeros(&[2, 3]).matmul(&zeros(&[4, 5])), &["matmul", "[2, 3]", "[4, 5]"]);
    refuses(zeros(&[]).matmul(&zeros(&[4, 5])), &["matmul", "[]"]);
    refuses(zeros(&[2, 3, 4]).matmul(&zeros(&[3, 4, 5])), &["matmul", "[2, 3, 4]", "[3, 4, 5]"]);
    refuses(zeros(&[2, 3, 4]).bmm(&zeros(&[1, 4, 5])), &["bmm", "[2, 3, 4]", "[1, 4, 5]"]);
    refuses(zeros(&[2, 3]).linear(&zeros(&[5, 4]), None), &["linear", "[2, 3]", "[5, 4]"]);
    refuses(zeros(&[2, 3]).linear(&zeros(&[5, 3]), Some(&zeros(&[4]))), &["linear", "[4]", "[5, 3]"]);

    refuses(zeros(&[2, 3]).add(&zeros(&[2, 4])), &["add", "[2, 3]", "[2, 4]"]);
    refuses(&zeros(&[2, 3]) * &zeros(&[4]), &["mul", "[2, 3]", "[4]"]);
    refuses(zeros(&[2, 3]).mse_loss(&zeros(&[4]), Reduction::Mean), &["mse_loss", "[2, 3]", "[4]"]);
    refuses(x.max_pool2d(33), &["max_pool2d", "33"]);
    refuses(x.max_pool2d(0), &["max_pool2d", "0"]);
    let margin = PoolOptions { padding: [2, 2], ..PoolOptions::new(2) };
    refuses(x.max_pool2d_with(margin), &["max_pool2d", "padding"]);
    refuses(zeros(&[3]).max_pool2d(2), &["max_pool2d", "[3]"]);
    refuses(x.batch_norm(None, Some(&zeros(&[4])), None, true, 0.1, 1e-5), &["batch_norm", "[4]"]);
    refuses(zeros(&[1, 3]).batch_norm(None, None, None, true, 0.1, 1e-5), &["batch_norm", "[1, 3]"]);
    refuses(zeros(&[3]).global_avg_pool(), &["global_avg_pool", "[3]"]);
    refuses(zeros(&[4]).dropout_channels(0.5), &["dropout_channels", "[4]"]);
    refuses(
        zeros(&[1, 1, 2, 2, 2]).grid_sample3d(&zeros(&[1, 2, 2, 2]), PaddingMode::Zeros, false),
        &["grid_sample3d", "[1, 2, 2, 2]"],
    );
    refuses(
        Tensor::affine_grid3d(&zeros(&[2, 3, 3]), [2, 1, 2, 2, 2], false),
        &["affine_grid3d", "[2, 3, 3]"],
    );
}

#[test]
fn layouts_that_do_not_exist_are_refused() {
    let x = zeros(&[2, 3, 4]);
    refuses(x.reshape([5, 5]), &["reshape", "[2, 3, 4]", "[5, 5]"]);
    refuses(x.view(&[7, -1]), &["[2, 3, 4]", "7"]);
    refuses(x.view(&[-1, -1]), &["-1"]);
    refuses(x.view(&[-2, 12]), &["-2"]);
    refuses(x.permute(&[0, 1]), &["permute", "[2, 3, 4]"]);
    refuses(x.permute(&[0, 1, 1]), &["permute", "[0, 1, 1]"]);
    refuses(x.permute(&[0, 1, 3]), &["permute", "3"]);
    refuses(x.transpose(0, 3), &["transpose", "3"]);
    refuses(x.t(), &["t", "[2, 3, 4]"]);
    refuses(x.squeeze(3), &["squeeze", "3", "[2, 3, 4]"]);
    // As in PyTorch, a dimension that is not 1 stays.
    assert_eq!(x.squeeze(0).unwrap().shape()[..], [2, 3, 4]);
    refuses(x.unsqueeze(5), &["unsqueeze", "5"]);
    refuses(x.flatten(3), &["flatten", "3"]);
    refuses(x.expand([2, 3, 5]), &["expand", "[2, 3, 4]", "[2, 3, 5]"]);
    refuses(x.expand([3, 4]), &["expand", "[3, 4]"]);
    refuses(x.softmax(3), &["softmax", "3", "[2, 3, 4]"]);
    refuses(x.sum(&[-4], false), &["sum", "-4"]);
    refuses(x.sum(&[1, 1], false), &["sum", "[1, 1]"]);
    refuses(x.slice(1, 0, 3, 0), &["slice", "step", "0"]);
    // As in Python, a slice stops at the end and may be empty.
    assert_eq!(x.slice(1, 1, 99, 1).unwrap().shape()[..], [2, 2, 4]);
    assert_eq!(x.slice(1, 2, 1, 1).unwrap().shape()[..], [2, 0, 4]);
    assert_eq!(x.slice(1, 0, 3, usize::MAX).unwrap().shape()[..], [2, 1, 4]);
    refuses(x.narrow(2, 3, 2), &["narrow", "3", "2"]);
    refuses(x.narrow(2, 1, usize::MAX), &["narrow"]);
    refuses(x.pad(&[1], 0.0), &["pad", "[1]"]);
    refuses(x.pad(&[1; 8], 0.0), &["pad", "[2, 3, 4]"]);
    refuses(x.pad(&[usize::MAX, 1], 0.0), &["[2, 3, ", "more elements"]);
    refuses(Tensor::cat(&[], 0), &["cat"]);
    refuses(Tensor::cat(&[&x, &zeros(&[2, 2, 4])], 0), &["cat", "[2, 3, 4]", "[2, 2, 4]"]);
    refuses(Tensor::cat(&[&x, &zeros(&[2, 3])], 0), &["cat", "[2, 3]"]);
    refuses(x.index_select(0, &labels(&[0, 2])), &["index_select", "2"]);
    refuses(
        x.index_select(0, &Tensor::new(&[0u32], [1, 1], &Device::cpu()).unwrap()),
        &["index_select", "[1, 1]"],
    );
    refuses(x.item(), &["item", "[2, 3, 4]"]);
}

#[test]
fn hostile_shapes_are_errors_before_any_memory_is_asked_for() {
    for shape in
        [&[usize::MAX, 2][..], &[1 << 32, 1 << 32], &[usize::MAX, usize::MAX, usize::MAX], &[5_000_000_000]]
    {
        refuses(Tensor::zeros(shape, DType::F32, &Device::cpu()), &["elements"]);
        refuses(Tensor::full(1.0, shape, DType::F64, &Device::cpu()), &["elements"]);
        refuses(zeros(&[]).expand(shape), &["elements"]);
        refuses(zeros(&[4]).reshape(shape), &["4"]);
        refuses(Tensor::new(&[1.0f32], shape, &Device::cpu()), &["elements"]);
    }
    // Nine dimensions are one too many.
    refuses(Tensor::zeros([1; 9], DType::F32, &Device::cpu()), &["9 dimensions"]);
    refuses(zeros(&[1; 8]).unsqueeze(0), &["9 dimensions"]);
    // A product with 0 is 0, however large the other size.
    assert_eq!(Tensor::zeros([0, 7], DType::F32, &Device::cpu()).unwrap().numel(), 0);
    match Tensor::zeros([0, 1 << 40, 1 << 40], DType::F32, &Device::cpu()) {
        Ok(empty) => assert_eq!(empty.numel(), 0),
        refused => refuses(refused, &["elements"]),
    }
    let thin = zeros(&[100_000, 1]);
    refuses(thin.matmul(&zeros(&[1, 100_000])), &["elements"]);
    refuses(thin.add(&zeros(&[1, 100_000])), &["elements"]);
}

#[test]
fn element_types_do_not_mix() {
    let (x, y) = (zeros(&[2, 3]), zeros(&[2, 3]).to_dtype(DType::F64).unwrap());
    refuses(x.add(&y), &["add", "f32", "f64", "to_dtype"]);
    refuses(x.matmul(&y.t().unwrap()), &["matmul", "f32", "f64"]);
    refuses(x.mse_loss(&y, Reduction::Mean), &["mse_loss", "f32", "f64"]);
    refuses(Tensor::cat(&[&x, &y], 0), &["cat", "f32", "f64"]);
    refuses(
        zeros(&[1, 1, 3, 3]).conv2d(&y.reshape([1, 1, 2, 3]).unwrap(), None, ConvOptions::default()),
        &["f32", "f64"],
    );
    let integers = labels(&[1, 2, 3]);
    refuses(integers.tanh(), &["tanh", "f32 or f64", "u32"]);
    refuses(integers.sum(&[], false), &["sum", "u32"]);
    refuses(integers.add(&integers), &["add", "u32"]);
    refuses(integers.softmax(0), &["softmax", "u32"]);
    refuses(integers.matmul(&integers), &["matmul", "u32"]);
    refuses(integers.to_vec::<f32>(), &["f32", "u32"]);
    // Labels and indices are integers.
    let labels_as_floats = floats(&[0.0, 1.0]);
    refuses(
        x.cross_entropy(&labels_as_floats, &CrossEntropyOptions::default()),
        &["cross_entropy", "u32", "f32"],
    );
    refuses(x.index_select(0, &labels_as_floats), &["index_select", "u32", "f32"]);
}

#[test]
fn a_device_that_is_not_there_says_why() {
    // Where there is CUDA, tests/cuda.rs says more.
    refuses(Device::by_name("cuda:9999"), &["cuda:9999", "cannot be used"]);
    let cuda = Device::cuda(0).is_ok();
    refuses(Device::by_name("wgpu:no such GPU"), &["wgpu:no such GPU", "cannot be used"]);
    for name in ["", "gpu", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
        let message = Device::by_name(name).unwrap_err().to_string();
        assert!(message.contains("use auto, cpu, cuda, cuda:N, wgpu or wgpu:NAME"), "{message}");
    }
    assert!(Device::by_name("auto").is_ok());
    // Software is not taken for a GPU unless it is asked for.
    if std::env::var_os("VOXGRAD_WGPU_ADAPTER").is_none() {
        let hardware = Device::wgpu_adapters().iter().any(|adapter| adapter.hardware);
        assert_eq!(Device::wgpu().is_ok(), hardware);
        assert_eq!(Device::best() != Device::Cpu, hardware || cuda);
    }
}

/// A batch of no samples goes through every layer, forward and backward.
#[test]
fn a_batch_of_zero_has_a_defined_result() {
    let x = zeros(&[0, 3, 8, 8]).requires_grad();
    let w = zeros(&[4, 3, 3, 3]).requires_grad();
    let fc = zeros(&[2, 4 * 3 * 3]).requires_grad();
    let y = x.conv2d(&w, None, ConvOptions::default()).unwrap();
    let y = y.relu().unwrap().max_pool2d(2).unwrap().dropout(0.5).unwrap();
    let y = y.flatten(1).unwrap().linear(&fc, None).unwrap();
    assert_eq!(y.shape()[..], [0, 2]);
    let mean = y.cross_entropy(&labels(&[]), &CrossEntropyOptions::default()).unwrap();
    assert!(mean.item().unwrap().is_nan(), "the mean over nothing is not a number");
    let sum = CrossEntropyOptions { reduction: Reduction::Sum, ..Default::default() };
    let loss = y.cross_entropy(&labels(&[]), &sum).unwrap();
    assert_eq!(loss.item().unwrap(), 0.0);
    loss.backward().unwrap();
    assert_eq!(x.grad().unwrap().shape()[..], [0, 3, 8, 8]);
    assert_eq!(w.grad().unwrap().to_f64_vec().unwrap(), vec![0.0; 4 * 3 * 9]);
    assert_eq!(fc.grad().unwrap().to_f64_vec().unwrap(), vec![0.0; 2 * 36]);
}

#[test]
fn empty_tensors_have_defined_results() {
    let nothing = zeros(&[0]);
    assert_eq!(nothing.sum(&[], false).unwrap().item().unwrap(), 0.0);
    assert!(nothing.mean(&[], false).unwrap().item().unwrap().is_nan());
    assert_eq!(nothing.exp().unwrap().numel(), 0);
    assert_eq!(zeros(&[2, 0]).sum(&[1], false).unwrap().to_f64_vec().unwrap(), [0.0, 0.0]);
    assert_eq!(zeros(&[2, 0]).matmul(&zeros(&[0, 3])).unwrap().to_f64_vec().unwrap(), [0.0; 6]);
    assert_eq!(zeros(&[0, 4]).softmax(1).unwrap().shape()[..], [0, 4]);
    assert_eq!(zeros(&[4, 0]).softmax(1).unwrap().shape()[..], [4, 0]);
    assert_eq!(nothing.reshape([0, 5]).unwrap().shape()[..], [0, 5]);
    assert_eq!(Tensor::cat(&[&nothing, &floats(&[1.0])], 0).unwrap().shape()[..], [1]);
    // A maximum of nothing does not exist.
    refuses(nothing.max(&[], false), &["max", "[0]"]);
    refuses(zeros(&[2, 0]).min(&[1], false), &["min", "[2, 0]"]);
    refuses(nothing.argmax(&[], false), &["max", "[0]"]);
    assert_eq!(zeros(&[0, 2]).max(&[1], false).unwrap().0.shape()[..], [0]);
    refuses(nothing.item(), &["item", "[0]"]);
    refuses(zeros(&[1, 2, 0, 4]).max_pool2d(2), &["max_pool2d"]);
}

#[test]
fn labels_out_of_range_are_named_with_their_place() {
    let logits = zeros(&[3, 4]);
    let loss = |labels: &Tensor| logits.cross_entropy(labels, &CrossEntropyOptions::default());
    refuses(loss(&labels(&[0, 4, 1])), &["cross_entropy", "4", "1"]);
    refuses(loss(&labels(&[0, 1, u32::MAX])), &["cross_entropy"]);
    refuses(loss(&labels(&[0, 1])), &["cross_entropy", "[3, 4]", "[2]"]);
    refuses(logits.nll_loss(&labels(&[9, 0, 0]), None, None, Reduction::Mean), &["nll_loss", "9"]);
    let weights = CrossEntropyOptions { weight: Some(zeros(&[3])), ..Default::default() };
    refuses(logits.cross_entropy(&labels(&[0, 1, 2]), &weights), &["cross_entropy", "[3]", "[3, 4]"]);
    for label_smoothing in [-0.1, 1.5, f64::NAN] {
        let smoothed = CrossEntropyOptions { label_smoothing, ..Default::default() };
        refuses(logits.cross_entropy(&labels(&[0, 1, 2]), &smoothed), &["label_smoothing"]);
    }
    // The ignored label need not be a class.
    let ignoring = CrossEntropyOptions { ignore_index: Some(255), ..Default::default() };
    let ignored = logits.cross_entropy(&labels(&[0, 255, 1]), &ignoring).unwrap().item().unwrap();
    assert!((ignored - 4f64.ln()).abs() < 1e-6);
}

/// Not-a-number goes through and comes out: it is never mistaken for a number.
#[test]
fn nan_stays_nan() {
    let nan = f32::NAN;
    let x = floats(&[1.0, nan, 3.0]);
    let isnan = |x: Tensor| x.to_f64_vec().unwrap().into_iter().map(f64::is_nan).collect::<Vec<_>>();
    assert!(x.max(&[], false).unwrap().0.item().unwrap().is_nan());
    assert!(x.min(&[], false).unwrap().0.item().unwrap().is_nan());
    assert_eq!(x.argmax(&[], false).unwrap().item().unwrap(), 1.0);
    assert!(x.sum(&[], false).unwrap().item().unwrap().is_nan());
    assert_eq!(isnan(x.relu().unwrap()), [false, true, false]);
    assert_eq!(isnan(x.clamp(Some(0.0), Some(1.0)).unwrap()), [false, true, false]);
    assert_eq!(isnan(x.maximum(&floats(&[0.0; 3])).unwrap()), [false, true, false]);
    assert_eq!(isnan(x.minimum(&floats(&[0.0; 3])).unwrap()), [false, true, false]);
    assert_eq!(isnan(x.softmax(0).unwrap()), [true; 3]);
    let image = Tensor::new(&[1.0, nan, 3.0, 4.0], [1, 1, 2, 2], &Device::cpu()).unwrap();
    assert!(image.max_pool2d(2).unwrap().item().unwrap().is_nan());
    // NaN logits and NaN targets give a NaN loss.
    let logits = Tensor::new(&[nan, 0.0], [1, 2], &Device::cpu()).unwrap();
    let loss = logits.cross_entropy(&labels(&[0]), &CrossEntropyOptions::default()).unwrap();
    assert!(loss.item().unwrap().is_nan());
    assert!(floats(&[0.5]).mse_loss(&floats(&[nan]), Reduction::Mean).unwrap().item().unwrap().is_nan());
    let bce = floats(&[0.5]).binary_cross_entropy_with_logits(&floats(&[nan]), None, None, Reduction::Mean);
    assert!(bce.unwrap().item().unwrap().is_nan());
    // A NaN label turned into a class is class 0: it can't be out of range. As a float it is refused.
    refuses(zeros(&[1, 2]).cross_entropy(&floats(&[nan]), &CrossEntropyOptions::default()), &["u32", "f32"]);
}

#[test]
fn probabilities_outside_their_range_are_refused() {
    for p in [-0.1, 1.1, f64::NAN] {
        refuses(zeros(&[4]).dropout(p), &["dropout", &p.to_string()]);
        refuses(zeros(&[4, 2]).dropout_channels(p), &["dropout", &p.to_string()]);
    }
    // PyTorch, too, takes the logarithm of probabilities only.
    let half = floats(&[0.5]);
    refuses(
        floats(&[1.5]).binary_cross_entropy(&half, None, Reduction::Mean),
        &["binary_cross_entropy", "1.5"],
    );
    refuses(
        floats(&[-0.5]).binary_cross_entropy(&half, None, Reduction::Mean),
        &["binary_cross_entropy", "-0.5"],
    );
    refuses(zeros(&[2]).huber_loss(&zeros(&[2]), 0.0, Reduction::Mean), &["huber_loss", "delta"]);
    refuses(zeros(&[2]).huber_loss(&zeros(&[2]), f64::NAN, Reduction::Mean), &["huber_loss", "delta"]);
}

#[test]
fn backward_says_what_is_missing() {
    let x = floats(&[1.0, 2.0]).requires_grad();
    refuses(x.tanh().unwrap().backward(), &["backward", "one element", "[2]", "sum or mean"]);
    refuses(floats(&[1.0]).backward(), &["backward", "requires_grad"]);
    refuses(no_grad(|| x.sum_all()).unwrap().backward(), &["backward", "no_grad"]);
    refuses(x.detach().sum_all().unwrap().backward(), &["backward"]);

    let loss = x.square().unwrap().sum_all().unwrap();
    loss.backward().unwrap();
    refuses(loss.backward(), &["already walked", "second backward"]);
    assert_eq!(x.grad().unwrap().to_f64_vec().unwrap(), [2.0, 4.0], "the failed walk changed nothing");

    let y = x.tanh().unwrap();
    refuses(y.backward_with(&floats(&[1.0])), &["backward", "[1]", "[2]"]);
    refuses(y.backward_with(&floats(&[1.0, 1.0]).to_dtype(DType::F64).unwrap()), &["backward", "f64", "f32"]);
}

/// Two losses over one shared part: the second walk meets a part that the first has used up.
#[test]
fn a_shared_part_walked_twice_is_an_error() {
    let x = floats(&[1.0, 2.0]).requires_grad();
    let shared = x.square().unwrap();
    shared.sum_all().unwrap().backward().unwrap();
    refuses(shared.mean_all().unwrap().backward(), &["already walked"]);
}

#[test]
fn optimizers_refuse_settings_that_are_no_numbers() {
    let w = || vec![zeros(&[2]).requires_grad()];
    for lr in [f64::NAN, f64::INFINITY, -1.0] {
        refuses(SGD::new(w(), lr), &["SGD", &lr.to_string()]);
        refuses(Adam::new(w(), lr), &["Adam", &lr.to_string()]);
    }
    refuses(SGD::new(w(), 0.1).and_then(|sgd| sgd.momentum(f64::NAN)), &["SGD", "momentum", "NaN"]);
    refuses(SGD::new(w(), 0.1).and_then(|sgd| sgd.weight_decay(-0.5)), &["SGD", "weight_decay", "-0.5"]);
    refuses(SGD::new(w(), 0.1).and_then(|sgd| sgd.nesterov(true)), &["SGD", "nesterov", "momentum"]);
}

#[test]
fn settings_of_values_keep_their_shape() {
    let x = zeros(&[2, 3]);
    refuses(x.set(&zeros(&[3, 2])), &["set", "[2, 3]", "[3, 2]"]);
    refuses(Tensor::new(&[1.0f32; 5], [2, 3], &Device::cpu()), &["5 elements", "[2, 3]"]);
}
