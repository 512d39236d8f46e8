//! `module!`: a network as fields, a constructor and a forward pass.

/// Defines a network: each field with its type and how it is made, then the forward pass.
///
/// It becomes a struct with public fields, `new()` and [`Module`](crate::nn::Module). The fields
/// are made in order and a later one may use an earlier one. Arguments of the constructor stand in
/// parentheses behind the name.
///
/// ```
/// use voxgrad_engine::{module, nn::{Linear, Module}};
///
/// module! {
///     /// Two layers with `hidden` numbers between them.
///     pub struct Perceptron(hidden: usize) {
///         fc1: Linear = Linear::new(4, hidden)?,
///         fc2: Linear = Linear::new(hidden, 2)?,
///     }
///     forward(self, x) {
///         self.fc2.forward(&self.fc1.forward(x)?.tanh()?)
///     }
/// }
///
/// let net = Perceptron::new(8)?;
/// let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]);
/// assert_eq!(net.num_parameters(), 4 * 8 + 8 + 8 * 2 + 2);
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
#[macro_export]
macro_rules! module {
    (
        $(#[$meta:meta])*
        $vis:vis struct $Name:ident $(( $($arg:ident: $Arg:ty),* $(,)? ))? {
            $( $(#[$field_meta:meta])* $field:ident: $Field:ty = $init:expr ),* $(,)?
        }
        forward($self:ident, $x:ident) $body:block
    ) => {
        $(#[$meta])*
        $vis struct $Name {
            $( $(#[$field_meta])* #[allow(missing_docs)] pub $field: $Field, )*
        }

        impl $Name {
            /// The network with new initial values, drawn from this thread's generator.
            $vis fn new($($($arg: $Arg),*)?) -> $crate::Result<$Name> {
                $( let $field: $Field = $init; )*
                Ok($Name { $($field),* })
            }
        }

        impl $crate::nn::Module for $Name {
            fn forward(&$self, $x: &$crate::Tensor) -> $crate::Result<$crate::Tensor> {
                $crate::nn::located($self, $x, || $body)
            }

            fn children(&self) -> Vec<(String, &dyn $crate::nn::Module)> {
                vec![$( (stringify!($field).to_string(), &self.$field as &dyn $crate::nn::Module) ),*]
            }
        }
    };
}
