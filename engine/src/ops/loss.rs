pub use voxgrad_kernels::ops::loss::Reduction;
