//! What goes wrong on a GPU while nobody waits for it: it is reported by the next read, once. A binary of
//! its own, and one test at a time, because whoever uses the device next is told.

#[path = "../common/mod.rs"]
mod common;
mod indices;
mod labels;

use std::sync::{Mutex, MutexGuard, PoisonError};

use voxgrad_engine::{DType, Device, Tensor};

static ALONE: Mutex<()> = Mutex::new(());

/// A GPU of each kind, for as long as the guard is held.
fn gpus() -> (MutexGuard<'static, ()>, Vec<Device>) {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    (alone, ["wgpu", "cuda"].into_iter().filter_map(common::devices::find).collect())
}

/// The way through a network: forward, and backward, which looks at the labels again.
#[test]
fn a_bad_label_is_reported_by_whoever_reads_next() {
    let (_alone, gpus) = gpus();
    for device in gpus {
        let logits = Tensor::full(0.5, [3, 2], DType::F32, &device).unwrap().requires_grad();
        let labels = Tensor::new(&[0u32, 7, 1], [3], &device).unwrap();
        let loss = logits.cross_entropy(&labels, &Default::default()).unwrap();
        let message = logits.to_vec::<f32>().unwrap_err().to_string();
        assert!(message.contains("cross_entropy: label number 1 of the batch is not below"), "{message}");
        assert_eq!(logits.to_vec::<f32>().unwrap(), [0.5; 6]);
        assert!(loss.item().unwrap().is_nan());

        loss.backward().unwrap();
        let message = device.synchronize().unwrap_err().to_string();
        assert!(message.contains("label number 1"), "{message}");
        let grad = logits.grad().unwrap().to_vec::<f32>().unwrap();
        assert!(grad[2].is_nan() && grad[3].is_nan(), "{grad:?}");
    }
}

/// Errors, and nobody waits for ever; a new device can be opened.
#[test]
fn a_lost_device_is_an_error() {
    let (_alone, gpus) = gpus();
    for device in gpus {
        let x = Tensor::full(1.0, [1000], DType::F32, &device).unwrap();
        let y = x.tanh().unwrap();
        match &device {
            Device::Cpu => unreachable!("the CPU is no GPU"),
            Device::Cuda(gpu) => gpu.lose(),
            Device::Wgpu(gpu) => gpu.lose(),
        }
        let said = [
            y.to_vec::<f32>().map(drop).unwrap_err().to_string(),
            device.synchronize().unwrap_err().to_string(),
            x.tanh().map(drop).unwrap_err().to_string(),
            Tensor::new(&[1.0f32], [1], &device).map(drop).unwrap_err().to_string(),
        ];
        for message in said {
            assert!(message.contains("was lost") && message.contains(&device.to_string()), "{message}");
        }
        drop((x, y));

        let device = Device::by_name(&common::devices::name_of(&device)).unwrap();
        let x = Tensor::full(1.0, [3], DType::F32, &device).unwrap();
        assert_eq!(x.neg().unwrap().to_vec::<f32>().unwrap(), [-1.0; 3]);
    }
}
