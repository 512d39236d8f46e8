//! Modules made of modules.

use std::sync::Arc;

use super::{Module, Slot, located};
use crate::ops::Then;
use crate::{Result, Tensor};

/// Layers that run one after the other, named "0", "1", and so on, `torch.nn.Sequential`. A convolution and a
/// [`ReLU`](super::ReLU) or [`Tanh`](super::Tanh) behind it run in one go, see [`Then`](crate::ops::Then).
///
/// ```
/// use voxgrad_engine::nn::{Linear, Module, Sequential, Tanh};
///
/// let net = Sequential::new().append(Linear::new(4, 8)?).append(Tanh).append(Linear::new(8, 2)?);
/// let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "2.weight", "2.bias"]);
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
#[derive(Default)]
pub struct Sequential(Vec<Box<dyn Module>>);

impl Sequential {
    /// A sequence without layers, which returns its input.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// The sequence with one more layer at its end.
    pub fn append(mut self, layer: impl Module + 'static) -> Sequential {
        self.0.push(Box::new(layer));
        self
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The layers, in order.
    pub fn layers(&self) -> impl Iterator<Item = &dyn Module> {
        self.0.iter().map(|layer| &**layer)
    }
}

impl Module for Sequential {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        located(self, x, || {
            let (mut x, mut layers) = (x.clone(), &self.0[..]);
            while let [layer, behind @ ..] = layers {
                let joined = behind.first().and_then(|next| layer.forward_joined(&x, next.as_then()?));
                (x, layers) = match joined {
                    Some(y) => (y?, &behind[1..]),
                    None => (layer.forward(&x)?, behind),
                };
            }
            Ok(x)
        })
    }

    fn children(&self) -> Vec<(String, &dyn Module)> {
        self.0.children()
    }
}

/// A list of modules, PyTorch's `ModuleList`: named "0", "1", and so on, and run in order.
impl<M: Module> Module for Vec<M> {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.iter().try_fold(x.clone(), |x, layer| layer.forward(&x))
    }

    fn children(&self) -> Vec<(String, &dyn Module)> {
        self.iter().enumerate().map(|(i, layer)| (i.to_string(), layer as &dyn Module)).collect()
    }
}

/// Pointers to a module are that module. The clones of an [`Arc`] share their parameters.
macro_rules! pointer {
    ($Pointer:ident) => {
        impl<M: Module + ?Sized> Module for $Pointer<M> {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                (**self).forward(x)
            }

            fn forward_joined(&self, x: &Tensor, then: Then) -> Option<Result<Tensor>> {
                (**self).forward_joined(x, then)
            }

            fn as_then(&self) -> Option<Then> {
                (**self).as_then()
            }

            fn children(&self) -> Vec<(String, &dyn Module)> {
                (**self).children()
            }

            fn tensors(&self) -> Vec<(&'static str, Slot<'_>)> {
                (**self).tensors()
            }

            fn set_training(&self, on: bool) {
                (**self).set_training(on);
            }
        }
    };
}
pointer!(Box);
pointer!(Arc);
