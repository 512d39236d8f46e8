//! Layers without parameters: functions as modules, for use in a [`Sequential`](super::Sequential).

use super::Module;
use crate::ops::Then;
use crate::{Result, Tensor};

macro_rules! functions {
    ($( $(#[$meta:meta])* $Layer:ident => $function:ident $(, $then:expr)?; )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default)]
        pub struct $Layer;

        impl Module for $Layer {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                x.$function()
            }

            $( fn as_then(&self) -> Option<Then> {
                Some($then)
            } )?
        }
    )* };
}

functions! {
    /// Hyperbolic tangent, `torch.nn.Tanh`.
    Tanh => tanh, Then::tanh();
    /// 1 / (1 + exp(-x)), `torch.nn.Sigmoid`.
    Sigmoid => sigmoid;
    /// max(x, 0), `torch.nn.ReLU`.
    ReLU => relu, Then::relu();
    /// x times the normal distribution's cumulative probability of x, `torch.nn.GELU`.
    GELU => gelu;
    /// The maximum of each channel over all spatial dimensions, which become 1.
    GlobalMaxPool => global_max_pool;
    /// The average of each channel over all spatial dimensions, which become 1.
    GlobalAvgPool => global_avg_pool;
}

macro_rules! functions_of {
    ($( $(#[$meta:meta])* $Layer:ident($($setting:ident: $Setting:ty = $default:expr),*) => $function:ident; )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $Layer { $( $setting: $Setting ),* }

        impl $Layer {
            /// The function with these settings.
            pub fn new($( $setting: $Setting ),*) -> $Layer {
                $Layer { $( $setting ),* }
            }
        }

        /// With PyTorch's default settings.
        impl Default for $Layer {
            fn default() -> $Layer {
                $Layer { $( $setting: $default ),* }
            }
        }

        impl Module for $Layer {
            fn forward(&self, x: &Tensor) -> Result<Tensor> {
                x.$function($( self.$setting ),*)
            }
        }
    )* };
}

functions_of! {
    /// x above 0 and `negative_slope` x below, `torch.nn.LeakyReLU`. 0.01 by default.
    LeakyReLU(negative_slope: f64 = 0.01) => leaky_relu;
    /// x above 0 and `alpha` (exp(x) - 1) below, `torch.nn.ELU`. 1 by default.
    ELU(alpha: f64 = 1.0) => elu;
    /// log(1 + exp(`beta` x)) / `beta`, and x where `beta` x is above `threshold`, `torch.nn.Softplus`.
    /// 1 and 20 by default.
    Softplus(beta: f64 = 1.0, threshold: f64 = 20.0) => softplus;
    /// exp(x) / sum(exp(x)) along `dim`, `torch.nn.Softmax`. The last dimension by default.
    Softmax(dim: isize = -1) => softmax;
    /// The logarithm of [`Softmax`], `torch.nn.LogSoftmax`. The last dimension by default.
    LogSoftmax(dim: isize = -1) => log_softmax;
    /// All dimensions from `start_dim` on as one, `torch.nn.Flatten`. All but the first by default.
    Flatten(start_dim: isize = 1) => flatten;
}
