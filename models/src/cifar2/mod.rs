//! CIFAR-2, birds vs airplanes: "Deep Learning with PyTorch", chapters 7 and 8.

pub mod nets;
