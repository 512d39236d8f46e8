//! Pictures of training runs, as PNG files: curves over the epochs, bars, histograms,
//! tables of numbers and grids of images.
//!
//! ```no_run
//! use voxgrad_models::plot::LineChart;
//!
//! LineChart::new("Loss")
//!     .x_label("epoch")
//!     .series("training", [(1.0, 0.58), (2.0, 0.48)])
//!     .series("validation", [(1.0, 0.51), (2.0, 0.46)])
//!     .save("loss.png")?;
//! # Ok::<(), voxgrad_models::Error>(())
//! ```
//!
//! The font comes with the program, so a machine without any installed fonts draws the same
//! pictures.

mod axis;
mod bar_chart;
mod canvas;
mod head;
mod heat_map;
mod histogram_chart;
mod image_grid;
mod line_chart;
mod marks;
mod pointers;
mod roofline_chart;

pub use bar_chart::{Bar, BarChart};
pub use heat_map::HeatMap;
pub use histogram_chart::HistogramChart;
pub use image_grid::{ImageGrid, Picture};
pub use line_chart::LineChart;
pub use pointers::Color;
pub use roofline_chart::RooflineChart;

#[cfg(test)]
mod tests;
