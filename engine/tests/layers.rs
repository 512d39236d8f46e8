//! What each layer does with its settings; the ops' own numbers are tested elsewhere.

use std::sync::atomic::Ordering;

use voxgrad_engine::nn::*;
use voxgrad_engine::{DType, Device, Result, Tensor, manual_seed};

fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    Tensor::new(values, shape, &Device::cpu()).unwrap()
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &Device::cpu()).unwrap()
}

fn shape_of(layer: &dyn Module, input: &[usize]) -> Vec<usize> {
    layer.forward(&zeros(input)).unwrap().shape().to_vec()
}

fn names(layer: &dyn Module) -> Vec<String> {
    layer.state_dict().unwrap().into_iter().map(|(name, _)| name).collect()
}

#[track_caller]
fn message<T>(result: Result<T>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn linear_is_its_formula_and_collects_gradients() {
    let layer = Linear::new(2, 3).unwrap();
    layer.weight.set(&tensor(&[1., 2., 3., 4., 5., 6.], &[3, 2])).unwrap();
    layer.bias.as_ref().unwrap().set(&tensor(&[0.5, 0., -0.5], &[3])).unwrap();
    let y = layer.forward(&tensor(&[1., 10.], &[1, 2])).unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap(), [21.5, 43.0, 64.5]);
    y.sum_all().unwrap().backward().unwrap();
    assert_eq!(layer.weight.grad().unwrap().to_vec::<f32>().unwrap(), [1., 10., 1., 10., 1., 10.]);
    assert_eq!(layer.bias.as_ref().unwrap().grad().unwrap().to_vec::<f32>().unwrap(), [1.0; 3]);
    layer.zero_grad();
    assert!(layer.weight.grad().is_none());
    assert_eq!(names(&layer.bias(false)), ["weight"]);
    assert!(message(Linear::new(0, 3)).contains("Linear: in_features is 0"));
}

#[test]
fn default_initial_values_stay_within_one_over_the_root_of_fan_in() {
    manual_seed(5);
    let conv = Conv2d::new(4, 64, 5).unwrap();
    let linear = Linear::new(100, 64).unwrap();
    for (weight, bias, fan_in) in [(conv.weight, conv.bias, 100.0f64), (linear.weight, linear.bias, 100.0)] {
        for values in [weight, bias.unwrap()].map(|t| t.to_f64_vec().unwrap()) {
            let largest = values.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            assert!((0.9 / fan_in.sqrt()..=1.0 / fan_in.sqrt()).contains(&largest), "largest {largest}");
        }
    }
}

#[test]
fn convolutions_take_their_settings() {
    let conv = Conv2d::new(4, 6, [3, 5]).unwrap().stride([2, 1]).padding([0, 2]).dilation([2, 1]);
    assert_eq!(shape_of(&conv, &[2, 4, 9, 8]), [2, 6, 3, 8]);
    let grouped = conv.groups(2).unwrap();
    assert_eq!(grouped.weight.shape()[..], [6, 2, 3, 5]);
    assert_eq!(shape_of(&grouped, &[2, 4, 9, 8]), [2, 6, 3, 8]);
    let deep = Conv3d::new(1, 8, 3).unwrap().padding(1).bias(false);
    assert_eq!(deep.num_parameters(), 8 * 27);
    assert_eq!(names(&deep), ["weight"]);
    assert_eq!(shape_of(&deep, &[1, 1, 4, 5, 6]), [1, 8, 4, 5, 6]);

    assert!(message(Conv2d::new(3, 4, 1).unwrap().groups(2)).contains("2 groups do not divide 3"));
    Conv2d::new(3, 4, 1).unwrap().groups(0).unwrap_err();
    assert!(message(Conv3d::new(3, 4, [1, 0, 1])).contains("Conv3d: kernel_size is 0"));
    assert!(message(deep.forward(&zeros(&[1, 2, 4, 4, 4]))).contains("2 channels"));
}

#[test]
fn pooling_takes_its_settings() {
    let image = [2, 3, 9, 8];
    assert_eq!(shape_of(&MaxPool2d::new(2), &image), [2, 3, 4, 4]);
    assert_eq!(shape_of(&MaxPool2d::new(3).stride(2).padding(1).dilation([1, 2]), &image), [2, 3, 5, 3]);
    assert_eq!(shape_of(&AvgPool2d::new([3, 2]).stride(1), &image), [2, 3, 7, 7]);
    assert_eq!(shape_of(&GlobalMaxPool, &image), [2, 3, 1, 1]);
    let volume = [2, 3, 4, 6, 8];
    assert_eq!(shape_of(&MaxPool3d::new([1, 2, 4]), &volume), [2, 3, 4, 3, 2]);
    assert_eq!(shape_of(&AvgPool3d::new(2), &volume), [2, 3, 2, 3, 4]);
    assert_eq!(shape_of(&GlobalAvgPool, &volume), [2, 3, 1, 1, 1]);
    let ones = tensor(&[1.0; 4], &[1, 1, 2, 2]);
    let corner = |layer: AvgPool2d| layer.forward(&ones).unwrap().to_vec::<f32>().unwrap()[0];
    assert_eq!(corner(AvgPool2d::new(2).padding(1)), 0.25);
    assert_eq!(corner(AvgPool2d::new(2).padding(1).count_include_pad(false)), 1.0);
}

#[test]
fn batch_norm_learns_its_statistics_in_training_and_uses_them_in_evaluation() {
    let layer = BatchNorm1d::new(1).unwrap().eps(0.0);
    assert_eq!(names(&layer), ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]);
    // Mean 2, variance 1, unbiased variance 2.
    let batch = tensor(&[1.0, 3.0], &[2, 1]);
    assert_eq!(layer.forward(&batch).unwrap().to_vec::<f32>().unwrap(), [-1.0, 1.0]);
    let running = |layer: &BatchNorm1d| {
        [&layer.running_mean, &layer.running_var].map(|t| t.as_ref().unwrap().item().unwrap() as f32)
    };
    assert_eq!(running(&layer), [0.2, 1.1]);
    assert_eq!(layer.num_batches_tracked.load(Ordering::Relaxed), 1);

    layer.eval();
    let y = layer.forward(&batch).unwrap().to_vec::<f32>().unwrap();
    assert!((y[0] - 0.8 / 1.1f32.sqrt()).abs() < 1e-6, "{y:?}");
    assert_eq!(running(&layer), [0.2, 1.1]);
    assert_eq!(layer.num_batches_tracked.load(Ordering::Relaxed), 1);

    let average = BatchNorm1d::new(1).unwrap().momentum(None);
    average.forward(&batch).unwrap();
    average.forward(&tensor(&[4.0, 8.0], &[2, 1])).unwrap();
    assert_eq!(running(&average), [4.0, 5.0]);
}

#[test]
fn batch_norm_takes_its_settings() {
    let plain = BatchNorm2d::new(3).unwrap().affine(false).track_running_stats(false);
    assert_eq!(plain.state_dict().unwrap().len(), 0);
    plain.eval();
    let x = tensor(&(0..12).map(|i| i as f32).collect::<Vec<_>>(), &[2, 3, 2, 1]);
    let mean = plain.forward(&x).unwrap().mean_all().unwrap().item().unwrap();
    assert!(mean.abs() < 1e-6, "without running statistics, evaluation uses the batch's: {mean}");
    assert_eq!(shape_of(&BatchNorm1d::new(3).unwrap(), &[2, 3, 5]), [2, 3, 5]);
    assert_eq!(shape_of(&BatchNorm3d::new(3).unwrap(), &[1, 3, 2, 2, 2]), [1, 3, 2, 2, 2]);

    let one = BatchNorm1d::new(3).unwrap();
    assert!(message(one.forward(&zeros(&[1, 3, 2, 2]))).contains("expected [N, C] or [N, C, L], got"));
    assert!(message(one.forward(&zeros(&[2, 4]))).contains("4 channels, expected 3"));
    assert!(message(one.forward(&zeros(&[1, 3]))).contains("more than 1 value"));
    assert_eq!(one.num_batches_tracked.load(Ordering::Relaxed), 0);
    BatchNorm2d::new(3).unwrap().forward(&zeros(&[2, 3, 4])).unwrap_err();
    BatchNorm3d::new(3).unwrap().forward(&zeros(&[2, 3, 4, 4])).unwrap_err();
    BatchNorm2d::new(0).unwrap_err();
}

#[test]
fn dropout_drops_in_training_alone() {
    manual_seed(2);
    let x = tensor(&[1.0; 800], &[2, 100, 2, 2]);
    let (single, channels) = (Dropout::new(0.25).unwrap(), Dropout2d::new(0.25).unwrap());
    let single_y = single.forward(&x).unwrap().to_vec::<f32>().unwrap();
    let channel_y = channels.forward(&x).unwrap().to_vec::<f32>().unwrap();
    for y in [&single_y, &channel_y] {
        let dropped = y.iter().filter(|y| **y == 0.0).count();
        assert!((130..270).contains(&dropped), "{dropped} of 800 dropped");
        assert!(y.iter().all(|y| *y == 0.0 || (y - 4.0 / 3.0).abs() < 1e-6));
    }
    let uniform = |y: &[f32]| y.chunks(4).all(|channel| channel.iter().all(|y| *y == channel[0]));
    assert!(uniform(&channel_y) && !uniform(&single_y));

    single.eval();
    channels.eval();
    let volumes = Dropout3d::new(0.0).unwrap();
    assert!(single.forward(&x).unwrap().is_same(&x) && channels.forward(&x).unwrap().is_same(&x));
    let volume = zeros(&[1, 2, 2, 2, 2]);
    assert!(volumes.forward(&volume).unwrap().is_same(&volume));
    assert!(message(volumes.forward(&x)).contains("expected [N, C, D, H, W]"));
    assert!(message(channels.forward(&volume)).contains("expected [N, C, H, W]"));
    for p in [-0.1, 1.1, f64::NAN] {
        Dropout::new(p).unwrap_err();
        Dropout3d::new(p).unwrap_err();
    }
}

#[test]
fn functions_are_their_formulas() {
    let x = tensor(&[-0.7, 1.3], &[1, 2]);
    let exp = |x: f64| x.exp();
    let cases: [(&str, Box<dyn Module>, [f64; 2]); 10] = [
        ("Tanh", Box::new(Tanh), [(-0.7f64).tanh(), 1.3f64.tanh()]),
        ("Sigmoid", Box::new(Sigmoid), [1.0 / (1.0 + exp(0.7)), 1.0 / (1.0 + exp(-1.3))]),
        ("ReLU", Box::new(ReLU), [0.0, 1.3]),
        // x times the normal distribution's cumulative probability, from a table.
        ("GELU", Box::new(GELU), [-0.7 * 0.2419637, 1.3 * 0.9031995]),
        ("LeakyReLU", Box::new(LeakyReLU::default()), [-0.007, 1.3]),
        ("LeakyReLU 0.5", Box::new(LeakyReLU::new(0.5)), [-0.35, 1.3]),
        ("ELU", Box::new(ELU::new(2.0)), [2.0 * (exp(-0.7) - 1.0), 1.3]),
        ("Softplus", Box::new(Softplus::new(2.0, 2.0)), [(1.0 + exp(-1.4)).ln() / 2.0, 1.3]),
        ("Softmax", Box::new(Softmax::default()), [1.0 / (1.0 + exp(2.0)), 1.0 / (1.0 + exp(-2.0))]),
        ("LogSoftmax", Box::new(LogSoftmax::new(1)), [-(1.0 + exp(2.0)).ln(), -(1.0 + exp(-2.0)).ln()]),
    ];
    for (name, layer, wanted) in cases {
        let y = layer.forward(&x).unwrap().to_f64_vec().unwrap();
        let close = y.iter().zip(wanted).all(|(y, wanted)| (y - wanted).abs() < 1e-6);
        assert!(close, "{name}: {y:?}, wanted {wanted:?}");
    }
    assert_eq!(shape_of(&Flatten::default(), &[2, 3, 4, 5]), [2, 60]);
    assert_eq!(shape_of(&Flatten::new(-2), &[2, 3, 4, 5]), [2, 3, 20]);
}

#[test]
fn a_network_trains_in_either_float_type() {
    use voxgrad_engine::optim::{Adam, Optimizer};
    manual_seed(1);
    for dtype in [DType::F32, DType::F64] {
        let net = Sequential::new()
            .append(Linear::new(2, 8).unwrap())
            .append(Tanh)
            .append(Linear::new(8, 1).unwrap());
        net.to_dtype(dtype).unwrap();
        let x = tensor(&[0., 0., 0., 1., 1., 0., 1., 1.], &[4, 2]).to_dtype(dtype).unwrap();
        let xor = tensor(&[0., 1., 1., 0.], &[4, 1]).to_dtype(dtype).unwrap();
        let mut optimizer = Adam::new(net.parameters(), 0.05).unwrap();
        let mut loss = f64::NAN;
        for _ in 0..300 {
            optimizer.zero_grad();
            let error = net.forward(&x).unwrap().sub(&xor).unwrap().square().unwrap().mean_all().unwrap();
            error.backward().unwrap();
            optimizer.step().unwrap();
            loss = error.item().unwrap();
        }
        assert!(loss < 1e-3, "{dtype}: the loss is still {loss}");
    }
}
