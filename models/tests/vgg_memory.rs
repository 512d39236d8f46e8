//! The memory that VGG16 takes: that of its plan, and none for copies of its weights. One test: the counters
//! belong to the whole process.

use voxgrad_engine::nn::Module;
use voxgrad_engine::ops::CrossEntropyOptions;
use voxgrad_engine::{DType, Device, Tensor, no_grad};
use voxgrad_kernels::device::cpu::{bytes_in_use, most_bytes_in_use};
use voxgrad_models::vgg::{MemoryPlan, SIDE, Vgg16, Vgg16Options};

#[test]
fn the_plan_is_what_it_takes() {
    // Twenty images of a narrow network: more than the 64 MiB from which the most is counted.
    let (batch_size, cpu) = (20, Device::cpu());
    let options = Vgg16Options { width: 8, hidden: 32, classes: 10, batch_norm: true, ..Default::default() };
    let state = Vgg16::drawn(&options).unwrap().state_dict().unwrap();
    let before = bytes_in_use();
    let net = Vgg16::from_state(&options, &state).unwrap();
    let statistics = 13 * 4 * 4 * 64;
    assert!(bytes_in_use() <= before + statistics, "the weights are shared");
    drop(state);

    let plan = MemoryPlan::new(&net.summary(&[1, 3, SIDE, SIDE]).unwrap(), batch_size);
    let images = Tensor::zeros([batch_size, 3, SIDE, SIDE], DType::F32, &cpu).unwrap();
    let labels = Tensor::new(&vec![3u32; batch_size], [batch_size], &cpu).unwrap();
    let before = bytes_in_use();
    let input = plan.layers[0].activations;
    // Running means and variances, and the labels.
    let others = before - plan.parameters - input;
    assert!(others < 64 << 10, "{others}");

    net.eval();
    no_grad(|| net.forward(&images)).unwrap();
    assert!(plan.inference > 64 << 20);
    assert_eq!(most_bytes_in_use(), plan.inference + others);

    net.train();
    let logits = net.forward(&images).unwrap();
    assert_eq!(bytes_in_use(), before + plan.kept - input);
    let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
    loss.backward().unwrap();
    // The loss itself is a few numbers.
    let (most, planned) = (most_bytes_in_use(), plan.training + others);
    assert!(most.abs_diff(planned) < 1024, "{most}, planned {planned}");
}
