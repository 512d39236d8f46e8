//! wip
/// Stride, padding, dilation per dimension, and groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Steps between neighbouring outputs.
    pub stride: [usize; N],
    /// Zeros added on either side.
    pub padding: [usize; N],
    /// Steps between neighbouring weights.
    pub dilation: [usize; N],
    /// Independent slices of the channels.
    pub groups: usize,
}

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        ConvOptions { stride: [1; N], padding: [0; N], dilation: [1; N], groups: 1 }
    }
}
