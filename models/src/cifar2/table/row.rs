//! The rows of the table.

use std::fmt;

use crate::cifar2::settings::Plan;
use crate::cifar2::variants::{MODELS, Quirks, Variant};

/// A row of the table: runs that differ in their seeds alone. In the chapter's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Row {
    /// The row's way of training, first the right one.
    pub as_printed: bool,
    /// Its place in [`MODELS`].
    model: usize,
    /// Where the number of residual blocks is not the book's.
    n_blocks: Option<usize>,
}

impl Row {
    pub fn new(plan: &Plan) -> Row {
        Row {
            as_printed: plan.quirks != Quirks::default(),
            model: MODELS.iter().position(|model| model.name == plan.variant.name).unwrap_or(MODELS.len()),
            n_blocks: plan.n_blocks.filter(|_| plan.n_blocks != plan.variant.n_blocks),
        }
    }

    pub fn variant(&self) -> Option<&'static Variant> {
        MODELS.get(self.model)
    }

    /// The name of the directory of its runs.
    pub fn folder(&self) -> String {
        self.to_string().replace(", ", "-").replace(' ', "-")
    }
}

/// `res-deep, 10 blocks, as printed`
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.variant().map_or("?", |model| model.name))?;
        if let Some(n) = self.n_blocks {
            write!(f, ", {n} block{}", if n == 1 { "" } else { "s" })?;
        }
        if self.as_printed { write!(f, ", as printed") } else { Ok(()) }
    }
}
