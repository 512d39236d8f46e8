//! Thoracic surgery: who survives the year after an operation on lung cancer? A Keras lesson.
//!
//! A table of 470 patients with 16 attributes each, two linear layers, and a lesson about accuracy: 85% of
//! the patients survive, so always saying so is right 85% of the time. [`run`] is the whole lesson:
//! `cargo run --release --example thoracic` only reads the command line for it.
//!
//! The data: UCI Machine Learning Repository, "Thoracic Surgery Data" (Zieba, Tomczak, Lubicz and Swiatek,
//! "Boosted SVM for extracting rules from imbalanced data in application to prediction of the post-operative
//! life expectancy in the lung cancer patients", Applied Soft Computing, 2014).

mod drawn;
mod run;
mod settings;
mod table;

pub use drawn::patients as drawn_patients;
pub use run::run;
pub use settings::{LOSSES, Settings};
pub use table::{ATTRIBUTES, CLASS_NAMES, COLUMNS, Patients, Source};
