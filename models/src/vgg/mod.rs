//! VGG16: the lecture's deep network for photographs.
//!
//! Thirteen convolutions and three linear layers, 138 million parameters. [`run`] is the whole lesson:
//! with weights that PyTorch has saved it says what is on a photograph; without, it shows the network's
//! layers, what memory they take, and how long they need. `cargo run --release --example vgg16` only reads
//! the command line for it. In Python,
//!
//! ```text
//! torch.save(torchvision.models.vgg16(weights="DEFAULT").state_dict(), "vgg16.pth")
//! ```
//!
//! writes weights for it that know ImageNet's thousand classes.

mod memory;
mod net;
mod photo;
mod run;
mod settings;

pub use memory::{LayerMemory, MemoryPlan};
pub use net::{SIDE, Vgg16, Vgg16Options};
pub use photo::Photo;
pub use run::run;
pub use settings::Settings;
