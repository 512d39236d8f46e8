//! A convolution with what follows it in one go is the parts one after the other, on every device.

mod common;

use voxgrad::gradcheck::gradcheck;
use voxgrad::nn::{Conv2d, Conv3d, MaxPool2d, Module, ReLU, Sequential, Sigmoid, Tanh};
use voxgrad::ops::{ConvOptions, Then};
use voxgrad::random::Rng;
use voxgrad::{Device, Element, Result, Tensor, graph, manual_seed, no_grad};

use common::devices;

fn random<T: Element + From<f32>>(shape: &[usize], device: &Device) -> Tensor {
    let mut rng = Rng::new(7, shape.len() as u64);
    let numbers: Vec<T> = (0..shape.iter().product()).map(|_| rng.normal().into()).collect();
    Tensor::new(&numbers, shape, device).unwrap()
}

fn bits(x: &Tensor) -> Vec<u32> {
    x.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
}

/// What follows a convolution, op by op.
type Parts = fn(&Tensor) -> Result<Tensor>;

/// The result, and the gradients of the input and the parameters.
fn outcome(layer: &dyn Module, x: &Tensor, forward: impl Fn(&Tensor) -> Result<Tensor>) -> Vec<Vec<u32>> {
    let x = x.detach().requires_grad();
    layer.parameters().iter().for_each(Tensor::zero_grad);
    let y = forward(&x).unwrap();
    y.backward_with(&random::<f32>(y.shape(), &y.device())).unwrap();
    let grads = layer.parameters().into_iter().chain([x]).map(|tensor| tensor.grad().unwrap());
    [y].into_iter().chain(grads).map(|tensor| bits(&tensor)).collect()
}

#[test]
fn it_is_the_parts_one_after_the_other() {
    for device in devices::present() {
        manual_seed(3);
        let conv = Conv2d::new(3, 10, 3).unwrap().padding(1);
        conv.to(&device).unwrap();
        let x = random::<f32>(&[5, 3, 9, 14], &device);
        let cases: [(Then, Parts); 4] = [
            (Then::tanh(), |z| z.tanh()),
            (Then::relu(), |z| z.relu()),
            (Then::tanh().max_pool(2), |z| z.tanh()?.max_pool2d(2)),
            (Then::relu().max_pool(3), |z| z.relu()?.max_pool2d(3)),
        ];
        for (then, parts) in cases {
            let wanted = outcome(&conv, &x, |x| parts(&conv.forward(x)?));
            assert_eq!(outcome(&conv, &x, |x| conv.forward_then(x, then)), wanted, "{device}, {then:?}");
            let evaluated = no_grad(|| conv.forward_then(&x, then)).unwrap();
            assert_eq!(bits(&evaluated), wanted[0], "{device}, {then:?} without gradients");
        }

        let conv = Conv3d::new(2, 4, 3).unwrap().padding(1);
        conv.to(&device).unwrap();
        let x = random::<f32>(&[2, 2, 4, 6, 8], &device);
        let wanted = outcome(&conv, &x, |x| conv.forward(x)?.relu()?.max_pool3d(2));
        let then = Then::relu().max_pool(2);
        assert_eq!(outcome(&conv, &x, |x| conv.forward_then(x, then)), wanted, "{device}, 3d");
        assert_eq!(bits(&no_grad(|| conv.forward_then(&x, then)).unwrap()), wanted[0], "{device}, 3d");
    }
}

#[test]
fn a_sequence_joins_a_convolution_and_its_function() {
    let net = || {
        manual_seed(5);
        let first =
            Sequential::new().append(Conv2d::new(2, 3, 3).unwrap()).append(ReLU).append(MaxPool2d::new(2));
        let second = first.append(Conv2d::new(3, 4, 2).unwrap()).append(Box::new(Tanh));
        second.append(Conv2d::new(4, 4, 1).unwrap()).append(Sigmoid).append(Tanh)
    };
    let x = random::<f32>(&[2, 2, 8, 8], &Device::cpu());
    let (net, parts) = (net(), net());
    let one_by_one = |x: &Tensor| parts.layers().try_fold(x.clone(), |x, layer| layer.forward(&x));
    assert_eq!(outcome(&net, &x, |x| net.forward(x)), outcome(&parts, &x, one_by_one));
    let dot = graph::to_dot(&net.forward(&x).unwrap());
    for op in ["conv2d_relu", "max_pool2d", "conv2d_tanh", "\"conv2d\\n", "sigmoid"] {
        assert!(dot.contains(op), "{op}: {dot}");
    }
    assert_eq!(net.summary(&[2, 2, 8, 8]).unwrap().rows.len(), 9, "the input and eight layers");
}

#[test]
fn its_gradient_is_that_of_finite_differences() {
    let tensors = [&[2, 2, 5, 4][..], &[3, 2, 3, 3], &[3]].map(|shape| random::<f64>(shape, &Device::cpu()));
    let options = ConvOptions { padding: [1, 1], ..Default::default() };
    let then = Then::tanh().max_pool(2);
    gradcheck("conv2d_then", &tensors, |x| x[0].conv2d_then(&x[1], Some(&x[2]), options, then)).unwrap();
}

/// Who asks for the ops of a network is shown each of them.
#[test]
fn a_summary_shows_the_parts() {
    let net = voxgrad::models::cifar2::nets::Net::new().unwrap();
    let ops: Vec<&str> = net.summary(&[1, 3, 32, 32]).unwrap().rows.iter().map(|row| row.op).collect();
    assert_eq!(ops[..4], ["input", "conv2d", "tanh", "max_pool2d"]);
}

#[test]
fn a_window_that_does_not_fit_is_an_error() {
    let conv = Conv2d::new(1, 1, 3).unwrap();
    let x = random::<f32>(&[1, 1, 4, 4], &Device::cpu());
    let forward = || conv.forward_then(&x, Then::relu().max_pool(3));
    for error in [forward().unwrap_err(), no_grad(forward).unwrap_err()] {
        assert!(error.to_string().contains("the window does not fit"), "{error}");
    }
}
