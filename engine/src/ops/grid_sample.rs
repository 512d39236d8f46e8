//! wip
/// What a sample outside the volume sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The nearest voxel of the border.
    Border,
}
