//! What goes wrong on a GPU while nobody waits for it. In a binary of its own, one thing after the
//! other, because all that uses a device is told.

mod common;

use voxgrad_engine::{DType, Device, Tensor};
use voxgrad_kernels::device::WgpuDevice;

#[test]
fn trouble_on_a_gpu_is_reported_by_whoever_reads_next() {
    let Some(device) = common::devices::find("wgpu") else { return };
    let Device::Wgpu(gpu) = device.clone() else { panic!("{device} is not behind wgpu") };
    a_bad_label(&device);
    a_bad_index(&device);
    a_bad_probability(&device);
    a_lost_device(&device, gpu);
}

/// The error comes once, and what does not depend on the bad row is as it should be.
fn a_bad_label(device: &Device) {
    let logits = Tensor::full(0.5, [3, 2], DType::F32, device).unwrap().requires_grad();
    let labels = Tensor::new(&[0u32, 7, 1], [3], device).unwrap();
    let loss = logits.cross_entropy(&labels, &Default::default()).unwrap();
    let message = loss.item().unwrap_err().to_string();
    assert!(message.contains("cross_entropy: the label in row 1 is not below"), "{message}");
    assert_eq!(logits.to_vec::<f32>().unwrap(), [0.5; 6]);
    assert!(loss.item().unwrap().is_nan());

    // The backward pass looks at the labels again.
    loss.backward().unwrap();
    let message = device.synchronize().unwrap_err().to_string();
    assert!(message.contains("the label in row 1"), "{message}");
    let grad = logits.grad().unwrap().to_vec::<f32>().unwrap();
    assert!(grad[2].is_nan() && grad[3].is_nan(), "{grad:?}");

    let scores = logits.detach().nll_loss(&labels, None, None, Default::default()).unwrap();
    let message = scores.item().unwrap_err().to_string();
    assert!(message.contains("nll_loss: the label in row 1"), "{message}");
}

fn a_bad_index(device: &Device) {
    let rows = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0], [2, 2], device).unwrap();
    let index = Tensor::new(&[1u32, 0, 2, 9], [4], device).unwrap();
    let picked = rows.index_select(0, &index).unwrap();
    let message = picked.to_vec::<f32>().unwrap_err().to_string();
    assert!(message.contains("index_select: the index at position 2 is not below"), "{message}");
    let picked = picked.to_vec::<f32>().unwrap();
    assert_eq!(picked[..4], [3.0, 4.0, 1.0, 2.0]);
    assert!(picked[4..].iter().all(|x| x.is_nan()), "{picked:?}");
}

fn a_bad_probability(device: &Device) {
    let x = Tensor::new(&[0.5f32, 1.5], [2], device).unwrap();
    let t = Tensor::new(&[1.0f32, 1.0], [2], device).unwrap();
    let loss = x.binary_cross_entropy(&t, None, Default::default()).unwrap();
    let message = loss.item().unwrap_err().to_string();
    assert!(message.contains("element 1 of the input must be in 0..=1"), "{message}");
}

/// Errors, and nobody waits for ever; a new device can be opened.
fn a_lost_device(device: &Device, gpu: WgpuDevice) {
    let x = Tensor::full(1.0, [1000], DType::F32, device).unwrap();
    let y = x.tanh().unwrap();
    gpu.lose();
    let said = [
        y.to_vec::<f32>().map(drop).unwrap_err().to_string(),
        device.synchronize().unwrap_err().to_string(),
        x.tanh().map(drop).unwrap_err().to_string(),
        Tensor::new(&[1.0f32], [1], device).map(drop).unwrap_err().to_string(),
    ];
    for message in said {
        assert!(message.contains("was lost") && message.contains(gpu.adapter_name()), "{message}");
    }
    drop((x, y));

    let device = Device::wgpu_named(gpu.adapter_name()).unwrap();
    let x = Tensor::full(1.0, [3], DType::F32, &device).unwrap();
    assert_eq!(x.neg().unwrap().to_vec::<f32>().unwrap(), [-1.0; 3]);
}
