//! The rows of the chapter's table: each network with the way it is trained, and what the book prints
//! of it.

use std::fmt;

use serde::{Deserialize, Serialize};
use voxgrad_engine::nn::Module;

use super::nets;
use crate::penalty::Penalty;
use crate::{Error, Result};

/// A network and how the chapter trains it.
#[derive(Debug)]
pub struct Variant {
    /// As `--model` takes it.
    pub name: &'static str,
    /// What it is, next to the baseline.
    pub what: &'static str,
    /// The learning rate of its optimizer, SGD.
    pub lr: f64,
    /// What is added to the loss.
    pub penalty: Option<Penalty>,
    /// The optimizer's weight decay.
    pub weight_decay: f64,
    /// How many residual blocks it has, if it has any.
    pub n_blocks: Option<usize>,
    /// What the book prints of it, if it does.
    pub printed: Option<Printed>,
    build: fn(Blocks) -> Result<Box<dyn Module>>,
}

/// The residual blocks of a network that has any.
#[derive(Debug, Clone, Copy)]
struct Blocks {
    n: usize,
    shared: bool,
}

/// What the book prints: of the baseline, which it trains several times, the least and the most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Printed {
    /// Accuracy on the training data.
    pub train_acc: Span,
    /// Accuracy on the validation data.
    pub val_acc: Span,
    /// Training loss of epoch 1.
    pub first_loss: Span,
    /// Training loss of epoch 100.
    pub last_loss: Span,
}

/// The least and the most of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Span {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

/// `0.89 to 0.90`, or `0.89` where both are the same, with the decimals of the format.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        let (low, high) = (format!("{:.digits$}", self.low), format!("{:.digits$}", self.high));
        if low == high { write!(f, "{low}") } else { write!(f, "{low} to {high}") }
    }
}

const fn one(value: f64) -> Span {
    Span { low: value, high: value }
}

const fn span(low: f64, high: f64) -> Span {
    Span { low, high }
}

const fn printed(train_acc: f64, val_acc: f64, first_loss: f64, last_loss: f64) -> Option<Printed> {
    Some(Printed {
        train_acc: one(train_acc),
        val_acc: one(val_acc),
        first_loss: one(first_loss),
        last_loss: one(last_loss),
    })
}

/// The lambda of the chapter's L2 and L1 terms. Weight decay of twice as much is the same as its L2.
const LAMBDA: f64 = 0.001;

const BASELINE: Variant = Variant {
    name: "baseline",
    what: "two convolutions, two linear layers",
    lr: 1e-2,
    penalty: None,
    weight_decay: 0.0,
    n_blocks: None,
    printed: Some(Printed {
        train_acc: span(0.93, 0.94),
        val_acc: span(0.89, 0.90),
        first_loss: span(0.578, 0.581),
        last_loss: span(0.154, 0.165),
    }),
    build: |_| boxed(nets::Net::new()),
};

/// Every variant, in the chapter's order.
pub static MODELS: [Variant; 10] = [
    BASELINE,
    Variant {
        name: "width",
        what: "twice the channels",
        printed: printed(0.97, 0.89, 0.561, 0.085),
        build: |_| boxed(nets::NetWidth::new()),
        ..BASELINE
    },
    Variant {
        name: "l2",
        what: "0.001 times the sum of all squared weights in the loss",
        penalty: Some(Penalty::L2(LAMBDA)),
        printed: printed(0.92, 0.89, 0.608, 0.212),
        ..BASELINE
    },
    Variant {
        name: "l1",
        what: "0.001 times the sum of all absolute weights in the loss",
        penalty: Some(Penalty::L1(LAMBDA)),
        printed: None,
        ..BASELINE
    },
    Variant {
        name: "weight-decay",
        what: "l2 by the optimizer's weight decay",
        weight_decay: 2.0 * LAMBDA,
        printed: None,
        ..BASELINE
    },
    Variant {
        name: "dropout",
        what: "width, dropping 40% of the channels",
        printed: printed(0.90, 0.87, 0.568, 0.239),
        build: |_| boxed(nets::NetDropout::new()),
        ..BASELINE
    },
    Variant {
        name: "batch-norm",
        what: "width with batch normalisation",
        printed: printed(0.98, 0.88, 0.466, 0.012),
        build: |_| boxed(nets::NetBatchNorm::new()),
        ..BASELINE
    },
    Variant {
        name: "depth",
        what: "three convolutions with rectifiers",
        printed: printed(0.96, 0.89, 0.685, 0.071),
        build: |_| boxed(nets::NetDepth::new()),
        ..BASELINE
    },
    Variant {
        name: "res",
        what: "depth, its last convolution added to its input",
        printed: printed(0.97, 0.90, 0.625, 0.095),
        build: |_| boxed(nets::NetRes::new()),
        ..BASELINE
    },
    Variant {
        name: "res-deep",
        what: "residual blocks, 100 in the book",
        lr: 3e-3,
        n_blocks: Some(100),
        printed: printed(0.97, 0.85, 1.941, 0.035),
        build: |blocks| match blocks.shared {
            true => boxed(nets::NetResDeep::shared(blocks.n)),
            false => boxed(nets::NetResDeep::new(blocks.n)),
        },
        ..BASELINE
    },
];

fn boxed(net: voxgrad_engine::Result<impl Module + 'static>) -> Result<Box<dyn Module>> {
    Ok(Box::new(net?))
}

impl Variant {
    /// The variant called `name`, the value of `option`.
    ///
    /// # Errors
    /// [`Error::Usage`] with the names there are.
    pub(super) fn by_name(option: &str, name: &str) -> Result<&'static Variant> {
        MODELS.iter().find(|variant| variant.name == name).ok_or_else(|| {
            let names = MODELS.each_ref().map(|variant| variant.name).join(", ");
            Error::Usage(format!("{option} {name}: there is none of that name; use {names}"))
        })
    }

    /// The network with fresh initial values; `n_blocks` and `shared_blocks` concern one that has
    /// residual blocks.
    pub fn build(&self, n_blocks: usize, shared_blocks: bool) -> Result<Box<dyn Module>> {
        (self.build)(Blocks { n: n_blocks, shared: shared_blocks })
    }
}

/// What the book's printed runs do differently from what one should do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quirks {
    /// The list `n_blocks * [ResBlock(..)]` repeats one block: all share its weights and statistics.
    #[serde(skip_serializing_if = "is_false")]
    pub shared_blocks: bool,
    /// After the baseline, the images come in the same order in every epoch.
    #[serde(skip_serializing_if = "is_false")]
    pub no_shuffle: bool,
    /// Accuracies are measured without switching to evaluation mode: dropout drops, and batch-norm
    /// uses the statistics of each batch.
    #[serde(skip_serializing_if = "is_false")]
    pub no_eval_mode: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Quirks {
    /// Those of the printed run of `variant`.
    pub fn printed(variant: &Variant) -> Quirks {
        let shared_blocks = variant.n_blocks.is_some();
        Quirks { shared_blocks, no_shuffle: variant.name != BASELINE.name, no_eval_mode: true }
    }

    /// Those that these or `other` have.
    pub fn or(self, other: Quirks) -> Quirks {
        Quirks {
            shared_blocks: self.shared_blocks || other.shared_blocks,
            no_shuffle: self.no_shuffle || other.no_shuffle,
            no_eval_mode: self.no_eval_mode || other.no_eval_mode,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_has_the_books_size() {
        let sizes = [
            ("baseline", 18_090),
            ("width", 38_386),
            ("l2", 18_090),
            ("l1", 18_090),
            ("weight-decay", 18_090),
            ("dropout", 38_386),
            ("batch-norm", 38_482),
            ("depth", 16_130),
            ("res", 16_130),
            ("res-deep", 994_530),
        ];
        for (name, size) in sizes {
            let variant = Variant::by_name("--model", name).unwrap();
            let net = variant.build(variant.n_blocks.unwrap_or(0), false).unwrap();
            assert_eq!(net.num_parameters(), size, "{name}");
        }
        assert_eq!(MODELS.len(), sizes.len());
        let deep = Variant::by_name("--model", "res-deep").unwrap();
        assert_eq!(deep.build(100, true).unwrap().num_parameters(), 75_810);
        assert_eq!(deep.build(10, false).unwrap().num_parameters(), 159_330);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        assert_eq!(
            Variant::by_name("--model", "big").unwrap_err().to_string(),
            "--model big: there is none of that name; use baseline, width, l2, l1, weight-decay, dropout, \
             batch-norm, depth, res, res-deep"
        );
    }

    #[test]
    fn quirks_are_those_of_the_printed_runs() {
        let quirks = |name| Quirks::printed(Variant::by_name("--model", name).unwrap());
        let quirk = |shared_blocks, no_shuffle| Quirks { shared_blocks, no_shuffle, no_eval_mode: true };
        assert_eq!(quirks("baseline"), quirk(false, false));
        assert_eq!(quirks("dropout"), quirk(false, true));
        assert_eq!(quirks("res-deep"), quirk(true, true));
        assert_eq!(
            serde_json::to_string(&quirks("l2")).unwrap(),
            r#"{"no_shuffle":true,"no_eval_mode":true}"#
        );
        assert_eq!(serde_json::from_str::<Quirks>("{}").unwrap(), Quirks::default());
    }

    #[test]
    fn spans_show_what_they_hold() {
        let baseline = BASELINE.printed.unwrap();
        assert_eq!(format!("{} {:.3}", baseline.val_acc, baseline.last_loss), "0.89 to 0.90 0.154 to 0.165");
        assert_eq!(one(0.97).to_string(), "0.97");
    }
}
