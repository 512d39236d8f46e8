//! Philox 4x32-10, the counter-based random generator every device shares.
//!
//! It turns a counter and a key into four random words with ten rounds of multiply and xor: no
//! state, so thread `i` draws number `i` without knowing its neighbours, and Rust, CUDA and WGSL
//! give the same integers. Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2,
//! 3", SC 2011.

/// Four random words for one position: `counter` is where, `key` is the seed.
pub fn philox4x32_10(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    side_by_side(counter.map(|word| [word]), key).map(|[word]| word)
}

/// The words of `N` positions, of each word all together: then a vector unit computes several at a time.
#[inline(always)]
pub(crate) fn side_by_side<const N: usize>(mut counter: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    for _ in 0..10 {
        let [c0, c1, c2, c3] = counter;
        for i in 0..N {
            let (hi0, lo0) = mul_hi_lo(0xD251_1F53, c0[i]);
            let (hi1, lo1) = mul_hi_lo(0xCD9E_8D57, c2[i]);
            counter[0][i] = hi1 ^ c1[i] ^ key[0];
            counter[1][i] = lo1;
            counter[2][i] = hi0 ^ c3[i] ^ key[1];
            counter[3][i] = lo0;
        }
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
    }
    counter
}

#[inline(always)]
fn mul_hi_lo(a: u32, b: u32) -> (u32, u32) {
    let product = u64::from(a) * u64::from(b);
    ((product >> 32) as u32, product as u32)
}

/// Random word number `index` of the stream that `seed` and `offset` name. Each random op call
/// takes an offset of its own, so that no two calls draw the same numbers.
pub fn random_u32(seed: u64, offset: u64, index: u64) -> u32 {
    let block = index / 4;
    let counter = [block as u32, (block >> 32) as u32, offset as u32, (offset >> 32) as u32];
    philox4x32_10(counter, [seed as u32, (seed >> 32) as u32])[(index % 4) as usize]
}

/// A random word as a number in [0, 1): its upper 24 bits, which f32 holds exactly.
#[inline(always)]
pub fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the authors' library, Random123 (kat_vectors, philox4x32 10).
    #[test]
    fn known_answers() {
        assert_eq!(philox4x32_10([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox4x32_10([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox4x32_10([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn uniform_stays_below_one() {
        assert_eq!(uniform(0), 0.0);
        assert!(uniform(u32::MAX) < 1.0);
    }
}
