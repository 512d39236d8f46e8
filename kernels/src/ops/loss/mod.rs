//! wip
/// How the losses of a batch become the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reduction {
    /// One loss per element or sample.
    None,
    /// Their mean (weighted, where there are weights).
    #[default]
    Mean,
    /// Their sum.
    Sum,
}
