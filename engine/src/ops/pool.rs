//! wip
/// Window, stride, padding and dilation per dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions<const N: usize> {
    /// Window.
    pub kernel_size: [usize; N],
    /// Steps between neighbouring windows.
    pub stride: [usize; N],
    /// Margin on either side.
    pub padding: [usize; N],
    /// Steps between neighbouring elements of a window (max-pooling only).
    pub dilation: [usize; N],
    /// Whether the margin counts in an average.
    pub count_include_pad: bool,
}

impl<const N: usize> PoolOptions<N> {
    /// Windows side by side: the stride is the window, no padding.
    pub fn new(kernel_size: impl crate::PerDim<N>) -> Self {
        let kernel_size = kernel_size.per_dim();
        PoolOptions {
            kernel_size,
            stride: kernel_size,
            padding: [0; N],
            dilation: [1; N],
            count_include_pad: true,
        }
    }
}
