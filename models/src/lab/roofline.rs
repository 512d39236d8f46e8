//! What binds a kernel: the arithmetic, or the bytes.

use voxgrad_engine::Device;
use voxgrad_kernels::limits::{self, Limit};

use crate::Result;
use crate::plot::RooflineChart;

/// So many bytes are copied to see how fast memory is.
const FAR: usize = 256 << 20;

/// What a device can do at best with a kernel's bytes.
#[derive(Debug, Clone)]
pub struct Roofline {
    /// Operations a second.
    pub arithmetic: Limit,
    /// Bytes a second of a copy that reads and writes as many as the kernel: small ones stay in a cache.
    pub near: Limit,
    /// Bytes a second of a copy of far more.
    pub far: Limit,
}

impl Roofline {
    /// Measures it for a kernel that moves so many bytes.
    ///
    /// # Errors
    /// What can go wrong on a GPU.
    pub fn measure(device: &Device, bytes: u64) -> Result<Roofline> {
        let bytes = usize::try_from(bytes).unwrap_or(FAR).min(FAR);
        Ok(Roofline {
            arithmetic: limits::arithmetic(device)?,
            near: limits::copying(device, bytes)?,
            far: limits::copying(device, FAR)?,
        })
    }

    /// The operations that can be done in a second, with so many for each byte.
    pub fn bound(&self, intensity: f64) -> f64 {
        self.arithmetic.rate.min(intensity * self.near.rate)
    }

    /// What binds a kernel of so many operations and bytes, and how far from it one is that takes `seconds`.
    pub fn say(&self, name: &str, flops: u64, bytes: u64, seconds: f64) -> String {
        let intensity = flops as f64 / bytes.max(1) as f64;
        let bound = self.bound(intensity);
        let binds = match intensity * self.near.rate < self.arithmetic.rate {
            true => format!("the bytes bind: {} let it do", rate(self.near.rate, "B/s")),
            false => "the arithmetic binds: it can do".to_string(),
        };
        let (reached, least) = (flops as f64 / seconds / bound, flops as f64 / bound);
        format!(
            "{intensity:.2} operations a byte, so {binds} {} at most, which takes {}. {name} reaches {:.1}% of \
             that, {:.1} times as long",
            rate(bound, "FLOP/s"),
            super::duration(least),
            100.0 * reached,
            1.0 / reached,
        )
    }

    /// An empty picture of it.
    pub fn chart(&self, title: impl Into<String>) -> RooflineChart {
        let roof = |limit: &Limit, unit: &str| rate(limit.rate, unit);
        RooflineChart::new(
            title,
            format!("arithmetic {}", roof(&self.arithmetic, "FLOP/s")),
            self.arithmetic.rate,
        )
        .memory(format!("copies of this size {}", roof(&self.near, "B/s")), self.near.rate)
        .memory(format!("copies of 256 MiB {}", roof(&self.far, "B/s")), self.far.rate)
    }
}

/// A rate in billions or what else fits: `445 GFLOP/s`.
pub fn rate(rate: f64, unit: &str) -> String {
    let (factor, prefix) = match rate {
        r if r >= 1e12 => (1e-12, "T"),
        r if r >= 1e9 => (1e-9, "G"),
        _ => (1e-6, "M"),
    };
    let value = factor * rate;
    let decimals = if value >= 100.0 { 0 } else { 1 };
    format!("{value:.decimals$} {prefix}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roofline() -> Roofline {
        let limit = |rate| Limit { rate, what: String::new() };
        Roofline { arithmetic: limit(400e9), near: limit(40e9), far: limit(10e9) }
    }

    #[test]
    fn the_lower_roof_binds() {
        let roofline = roofline();
        assert_eq!((roofline.bound(2.0), roofline.bound(10.0), roofline.bound(50.0)), (80e9, 400e9, 400e9));
        let memory = roofline.say("plain", 1_000_000, 4_000_000, 1e-3);
        let wanted = "0.25 operations a byte, so the bytes bind: 40.0 GB/s let it do 10.0 GFLOP/s at most, which \
                      takes 100.000 us. plain reaches 10.0% of that, 10.0 times as long";
        assert_eq!(memory, wanted);
        let arithmetic = roofline.say("tiled", 400_000_000, 4_000_000, 2e-3);
        assert!(arithmetic.contains("the arithmetic binds: it can do 400 GFLOP/s at most"), "{arithmetic}");
        assert!(arithmetic.ends_with("tiled reaches 50.0% of that, 2.0 times as long"), "{arithmetic}");
        assert_eq!([rate(4.45e11, "FLOP/s"), rate(2.5e7, "B/s")], ["445 GFLOP/s", "25.0 MB/s"]);
    }
}
