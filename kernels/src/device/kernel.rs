//! How a GPU kernel is named and launched.
//!
//! ```text
//! static SOURCE: Source = source!("conv": "geometry", "conv"); // geometry.wgsl, conv.wgsl; geometry.cu, conv.cu
//! static FORWARD: Kernel = Kernel::new(&SOURCE, "conv_forward");
//! device.launch(&FORWARD, Grid::threads(y.len()), &p, &[x, w, bias], &mut [&mut y])?;
//! ```
//! The same kernels stand in `.wgsl` and `.cu` files of the same names, with the same entry points.
//! In the shader, binding 0 of group 0 is the parameter struct, the same `#[repr(C)]` struct as in
//! Rust, and every buffer of the file has a binding of its own. An entry point uses some of them;
//! `launch` is given those in the order of their bindings, inputs before outputs. A CUDA kernel takes
//! the struct and then the same buffers as its arguments.

/// The text of an op's kernels.
#[derive(Debug)]
pub struct Source {
    /// The file's name without its ending: what messages say.
    pub name: &'static str,
    /// The compute shaders.
    pub wgsl: &'static str,
    /// The CUDA C++ kernels.
    pub cuda: &'static str,
}

/// The source of a name, from files beside the caller one behind the other: `file.wgsl` and `file.cu`.
macro_rules! source {
    ($name:literal: $($file:literal),+) => {
        $crate::device::Source {
            name: $name,
            wgsl: concat!($(include_str!(concat!($file, ".wgsl"))),+),
            // The compiler's messages name the file and its own lines.
            cuda: concat!($("#line 1 \"", $file, ".cu\"\n", include_str!(concat!($file, ".cu")), "\n"),+),
        }
    };
}
pub(crate) use source;

/// One entry point of a source.
#[derive(Debug)]
pub struct Kernel {
    /// Where it stands.
    pub source: &'static Source,
    /// Its name.
    pub entry: &'static str,
    /// Whether its parameters change from one training step to the next.
    pub changing: bool,
}

impl Kernel {
    /// The kernel `entry` of `source`.
    pub const fn new(source: &'static Source, entry: &'static str) -> Kernel {
        Kernel { source, entry, changing: false }
    }

    /// Its parameters change from one training step to the next, as a learning rate does. A CUDA graph
    /// that holds the kernel is given them anew before each launch.
    pub const fn changing(self) -> Kernel {
        Kernel { changing: true, ..self }
    }
}

/// How many workgroups a launch takes. A device that cannot have so many in a row folds them into
/// rows, so a kernel numbers its group `group.y * groups.x + group.x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Workgroups in all.
    pub groups: u32,
    /// Floating-point operations of the launch, for `KERNEL_LOG`; 0 where nobody counted.
    pub flops: u64,
}

/// Threads of a workgroup of the kernels that give each thread one element.
pub const GROUP: usize = 256;

impl Grid {
    /// A thread for each of `n` elements, in groups of [`GROUP`].
    pub fn threads(n: usize) -> Grid {
        Grid::groups(n.div_ceil(GROUP))
    }

    /// `n` workgroups.
    pub fn groups(n: usize) -> Grid {
        // A buffer holds fewer than 2^32 elements, and no kernel has more groups than that.
        Grid { groups: n as u32, flops: 0 }
    }

    /// With a count of the floating-point operations.
    pub fn flops(self, flops: u64) -> Grid {
        Grid { flops, ..self }
    }

    /// Columns and rows, where a device takes `most` of either.
    pub fn folded(self, most: u32) -> (u32, u32) {
        match self.groups <= most {
            true => (self.groups, 1),
            false => (most, self.groups.div_ceil(most)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_too_long_for_a_row_is_folded() {
        assert_eq!(Grid::threads(0).folded(65_535), (0, 1));
        assert_eq!(Grid::threads(257).folded(65_535), (2, 1));
        assert_eq!(Grid::groups(65_535).folded(65_535), (65_535, 1));
        let (columns, rows) = Grid::groups(200_000).folded(65_535);
        assert_eq!((columns, rows), (65_535, 4));
    }
}
