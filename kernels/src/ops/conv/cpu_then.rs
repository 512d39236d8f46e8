//! The gradients of a convolution, a function and max-pooling on the processor, in one go.
//!
//! One after the other, pooling writes the gradient of whole maps, the function's derivative goes over it,
//! the gradient of the bias adds it up and that of the weight reads it: four passes over tensors that no
//! cache holds. Here a task does all of it for a few samples, whose gradient stays in the core's cache, and
//! nothing of it is stored unless the gradient of the input is wanted.

use rayon::prelude::*;

use super::cpu_places::{Places, Sums};
use super::cpu_weight::{Cut, Part};
use super::{Conv, volume};
use crate::device::scratch::Scratch;
use crate::ops::matmul::dots::Dots;
use crate::ops::pool::{Pool, max_backward_of_planes};
use crate::ops::reduce::sum_row;
use crate::{Float, Result};

/// Elements of which the derivative is computed in one go, on this thread.
const AT_ONCE: usize = 1 << 14;

/// `dy = f'(z) dy` in the place of `dy`.
pub type Derivative<'a, T> = &'a (dyn Fn(&[T], &mut [T]) + Sync);

/// What follows the convolution, and what its forward pass left.
pub struct After<'a, T> {
    pub derivative: Derivative<'a, T>,
    /// The maps before pooling.
    pub z: &'a [T],
    pub pool: &'a Pool,
    /// Where the maxima stand.
    pub argmax: &'a [u32],
}

/// Where the gradients go.
pub struct Gradients<'a, T> {
    // [O, C, KD, KH, KW]
    pub weight: &'a mut [T],
    /// The sum of every map: the gradient of the bias is their sum over the samples.
    // [N, O]
    pub maps: &'a mut [T],
    /// The gradient of what the convolution gave, where it is wanted.
    // [N, O, OD, OH, OW]
    pub dz: Option<&'a mut [T]>,
}

/// Whether this is for such a convolution.
pub fn pays<T: Float>(form: usize, p: &Conv) -> bool {
    if p.batch == 0 {
        return false;
    }
    let cut = Cut::new(p);
    cut.is_of_samples_only(p) && Places { dots: Dots::<T>::new(form), p }.pay(cut.samples)
}

// dy: as the pooled maps
pub fn backward<T: Float>(
    form: usize,
    p: &Conv,
    x: &[T],
    after: After<T>,
    dy: &[T],
    to: Gradients<T>,
) -> Result<()> {
    let (cut, places) = (Cut::new(p), Places { dots: Dots::new(form), p });
    let (channels, outputs) = p.group_channels();
    let (row, map, pool) = (channels * volume(p.kernel), volume(p.output), after.pool);
    let (sample, pooled) = (outputs * map, outputs * pool.out_plane());
    let mut parts = Scratch::<T>::take(cut.runs * outputs * row)?;
    let of_runs: Vec<Option<&mut [T]>> = match to.dz {
        Some(dz) => dz.chunks_mut(cut.samples * sample).map(Some).collect(),
        None => (0..cut.runs).map(|_| None).collect(),
    };
    let sums_of_maps = to.maps.par_chunks_mut(cut.samples * outputs);
    let runs = parts.par_chunks_exact_mut(outputs * row).zip(sums_of_maps).zip(of_runs);
    runs.enumerate().try_for_each(|(run, ((dw, sums_of_maps), mut dz))| {
        let part = Part { group: 0, first: 0, channels, samples: cut.samples_of(run, p) };
        let mut sums = Sums::new(places, &part)?;
        let mut own = Scratch::<T>::take(if dz.is_some() { 0 } else { sums.at_once() * sample })?;
        for samples in sums.blocks() {
            let first = samples.start - part.samples.start;
            let dz = match &mut dz {
                Some(dz) => &mut dz[first * sample..][..samples.len() * sample],
                None => &mut own[..samples.len() * sample],
            };
            let pooled = samples.start * pooled..samples.end * pooled;
            max_backward_of_planes(pool, &after.argmax[pooled.clone()], &dy[pooled], dz);
            let z = after.z[samples.start * sample..].chunks(AT_ONCE);
            dz.chunks_mut(AT_ONCE).zip(z).for_each(|(dz, z)| (after.derivative)(&z[..dz.len()], dz));
            let sums_of_maps = &mut sums_of_maps[first * outputs..];
            sums_of_maps.iter_mut().zip(dz.chunks_exact(map)).for_each(|(sum, map)| *sum = sum_row(map));
            sums.add(samples, dz, x);
        }
        sums.keep(dw);
        Ok(())
    })?;
    cut.add_up(p, &parts, row, |sums, dw| dw.copy_from_slice(sums), to.weight);
    Ok(())
}
