//! Exponentials that the compiler can turn into vector code.
//!
//! The standard library's `exp` and `tanh` are calls: one element at a time, 5 to 15 ns each. The
//! formulas here have no call and no branch, so a loop over them runs in vector registers. Each
//! states its error; the tests hold it to that over all exponents.

use crate::Float;

/// The functions a kernel may want from either library. What is not overridden is the standard one.
pub trait Math<T: Float> {
    fn exp(x: T) -> T {
        x.exp()
    }
    /// e^x - 1, without losing small x.
    fn exp_m1(x: T) -> T {
        x.exp_m1()
    }
    fn tanh(x: T) -> T {
        x.tanh()
    }
    /// 1 / (1 + e^-x)
    fn sigmoid(x: T) -> T {
        sigmoid(x, |x| x.exp())
    }
    /// log(1 + x) for x in 0..=1, without losing small x.
    fn ln_1p(x: T) -> T {
        x.ln_1p()
    }
    /// The standard normal distribution and its density, P = (1 + erf(x / sqrt 2)) / 2 and P'. The
    /// complementary function keeps the lower tail from vanishing in the sum.
    fn normal(x: T) -> (T, T) {
        let p = T::of(0.5 * libm::erfc(-x.f64() * std::f64::consts::FRAC_1_SQRT_2));
        (p, (T::of(-0.5) * x * x).exp() * T::of(NORMAL_PEAK))
    }
}

/// 1 / sqrt(2 pi): the density of the standard normal distribution at 0.
const NORMAL_PEAK: f64 = 0.398_942_280_401_432_7;

/// The standard library throughout.
pub struct Std;
/// The formulas of this file in f32, the standard library in f64.
pub struct Fast;

impl<T: Float> Math<T> for Std {}
impl Math<f64> for Fast {}
impl Math<f32> for Fast {
    #[inline(always)]
    fn exp(x: f32) -> f32 {
        exp(x)
    }
    #[inline(always)]
    fn exp_m1(x: f32) -> f32 {
        exp_m1(x)
    }
    #[inline(always)]
    fn tanh(x: f32) -> f32 {
        tanh(x)
    }
    #[inline(always)]
    fn sigmoid(x: f32) -> f32 {
        sigmoid(x, exp)
    }
    #[inline(always)]
    fn ln_1p(x: f32) -> f32 {
        ln_1p(x)
    }
    #[inline(always)]
    fn normal(x: f32) -> (f32, f32) {
        normal(x)
    }
}

/// e^-|x| never overflows, and serves both signs: 1 / (1 + e^-x) = e^x / (1 + e^x).
#[inline(always)]
fn sigmoid<T: Float>(x: T, exp: impl Fn(T) -> T) -> T {
    let small = exp(-x.abs());
    (if x < T::zero() { small } else { T::one() }) / (T::one() + small)
}

/// Splits x = n ln 2 + r with a whole n and |r| <= ln 2 / 2: (n, r). For |x| below 200.
///
/// Adding 1.5 * 2^23 pushes the fraction out of an f32, which rounds to the nearest whole number
/// and leaves it in the low bits. ln 2 is taken off in two parts (Cody and Waite): the first has 9
/// bits, so n times it is exact.
#[inline(always)]
fn reduce(x: f32) -> (i32, f32) {
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let whole = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    (whole, (x - n * LN2_HIGH) - n * LN2_LOW)
}

/// (e^r - 1 - r) for |r| <= ln 2 / 2: the Taylor series up to r^7, whose next term is below 6e-9.
#[inline(always)]
fn exp_tail(r: f32) -> f32 {
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    series * (r * r)
}

/// 2^n for n in -126..=127, put together from its bits.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// x within [low, high]; NaN stays NaN.
#[inline(always)]
fn limit(x: f32, low: f32, high: f32) -> f32 {
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// e^x within 2 units in the last place; 0 and infinity at the ends, NaN for NaN.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // e^-104 rounds to 0, e^89 to infinity: nothing beyond them is different.
    let (n, r) = reduce(limit(x, -104.0, 89.0));
    // 2^n in two factors: n goes from -150, below the smallest exponent, to 128, above the largest.
    let half = n >> 1;
    (exp_tail(r) + r + 1.0) * power_of_two(half) * power_of_two(n - half)
}

/// e^x - 1 within 3 units in the last place.
///
/// 2^n e^r - 1 = 2^n (e^r - 1) + (2^n - 1): near 0, where n is 0, no digit is lost.
#[inline(always)]
pub fn exp_m1(x: f32) -> f32 {
    let (n, r) = reduce(limit(x, -20.0, 89.0));
    let half = n >> 1;
    let (first, second) = (power_of_two(half), power_of_two(n - half));
    // The second factor, up to 2^64, is multiplied in last: 2^128 does not exist.
    let rest = first - power_of_two(half - n);
    ((exp_tail(r) + r) * first + rest) * second
}

/// tanh x within 3 units in the last place; odd, at most 1, NaN for NaN.
///
/// With t = e^(2|x|) - 1, tanh |x| = t / (t + 2); the sign is put back as a bit.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    // From 9.02 on the nearest f32 is 1.
    let (n, r) = reduce(2.0 * limit(x.abs(), 0.0, 10.0));
    let power = power_of_two(n);
    let t = (exp_tail(r) + r) * power + (power - 1.0);
    let tanh = t / (t + 2.0);
    f32::from_bits(tanh.to_bits() | x.to_bits() & (1 << 31))
}

/// log(1 + x) for x in 0..=1 within 3 units in the last place.
///
/// With s = x / (2 + x), at most 1/3, log(1 + x) = 2 artanh s = 2 (s + s^3/3 + s^5/5 + ...); the
/// first term left out is below 2e-9 s.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    let s = x / (2.0 + x);
    let square = s * s;
    let series = 1.0 / 15.0;
    let series = series * square + 1.0 / 13.0;
    let series = series * square + 1.0 / 11.0;
    let series = series * square + 1.0 / 9.0;
    let series = series * square + 1.0 / 7.0;
    let series = series * square + 1.0 / 5.0;
    let series = series * square + 1.0 / 3.0;
    2.0 * (s + s * square * series)
}

/// The standard normal distribution P and its density, both within 3e-7.
///
/// The tail is the density times a smooth function: P(-|x|) = e^(-x^2 / 2) t Q(t) with t = 1 / (1 +
/// |x| / 4). Q is the polynomial through that function at the ten Chebyshev nodes of 0..1, which
/// differs from it by less than one part in 10^7.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    const Q: [f32; 10] = [
        0.099_735_56,
        0.099_737_4,
        0.093_439_51,
        0.081_889_63,
        0.057_446_26,
        0.068_273_99,
        -0.039_746_863,
        0.103_798_86,
        -0.085_389_23,
        0.020_814_888,
    ];
    let t = 1.0 / (1.0 + 0.25 * x.abs());
    let q = Q.iter().rev().fold(0.0, |sum, q| sum * t + q);
    let bell = exp(-0.5 * x * x);
    let tail = bell * t * q;
    (if x < 0.0 { tail } else { 1.0 - tail }, bell * NORMAL_PEAK as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every 1009th float of either sign, against f64: the largest error in units of the last place
    /// of the exact value, where that is a normal number.
    fn worst_ulps(fast: fn(f32) -> f32, exact: fn(f64) -> f64) -> (f64, f32) {
        let mut worst = (0.0, 0.0);
        for bits in (0..=f32::INFINITY.to_bits()).step_by(1009) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let (y, wanted) = (f64::from(fast(x)), exact(f64::from(x)));
                if wanted.abs() > f64::from(f32::MAX) {
                    let rounded = wanted as f32;
                    assert!(y == f64::from(rounded) || y >= f64::from(f32::MAX), "{x}: {y}");
                    continue;
                }
                let exponent = wanted.abs().max(f64::from(f32::MIN_POSITIVE)).log2().floor();
                let ulps = (y - wanted).abs() / (exponent - 23.0).exp2();
                assert!(ulps.is_finite(), "{x}: {y}, not {wanted}");
                if ulps > worst.0 {
                    worst = (ulps, x);
                }
            }
        }
        worst
    }

    #[test]
    fn exp_is_within_two_ulps() {
        let (ulps, x) = worst_ulps(exp, f64::exp);
        assert!(ulps <= 2.0, "{ulps} at {x}");
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn exp_m1_is_within_three_ulps() {
        let (ulps, x) = worst_ulps(exp_m1, f64::exp_m1);
        assert!(ulps <= 3.0, "{ulps} at {x}");
        assert_eq!(exp_m1(f32::NEG_INFINITY), -1.0);
        assert_eq!(exp_m1(f32::INFINITY), f32::INFINITY);
        assert!(exp_m1(f32::NAN).is_nan());
    }

    #[test]
    fn tanh_is_within_three_ulps() {
        let (ulps, x) = worst_ulps(tanh, f64::tanh);
        assert!(ulps <= 3.0, "{ulps} at {x}");
        assert_eq!((tanh(f32::INFINITY), tanh(f32::NEG_INFINITY)), (1.0, -1.0));
        assert!(tanh(f32::NAN).is_nan());
        assert!(tanh(-0.0).is_sign_negative());
        for x in [1e-30f32, 0.3, 0.7, 2.5, 8.9, 9.1] {
            assert_eq!(tanh(x), -tanh(-x));
        }
    }

    #[test]
    fn sigmoid_is_within_three_ulps() {
        let (ulps, x) = worst_ulps(<Fast as Math<f32>>::sigmoid, |x| 1.0 / (1.0 + (-x).exp()));
        assert!(ulps <= 3.0, "{ulps} at {x}");
        assert!(<Fast as Math<f32>>::sigmoid(f32::NAN).is_nan());
    }

    #[test]
    fn ln_1p_is_within_three_ulps() {
        let within = |x: f64| if (0.0..=1.0).contains(&x) { x.ln_1p() } else { 0.0 };
        let fast = |x: f32| if (0.0..=1.0).contains(&x) { ln_1p(x) } else { 0.0 };
        let (ulps, x) = worst_ulps(fast, within);
        assert!(ulps <= 3.0, "{ulps} at {x}");
    }

    #[test]
    fn normal_is_within_3e_7() {
        for bits in (0..=f32::INFINITY.to_bits()).step_by(5003) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let (fast, exact) = (normal(x), <Std as Math<f64>>::normal(f64::from(x)));
                let errors = (f64::from(fast.0) - exact.0, f64::from(fast.1) - exact.1);
                assert!(errors.0.abs() <= 3e-7 && errors.1.abs() <= 3e-7, "{errors:?} at {x}");
            }
        }
        assert!(normal(f32::NAN).0.is_nan());
    }
}
