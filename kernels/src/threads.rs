//! The threads that the processor's kernels share.

use std::num::NonZero;
use std::thread::available_parallelism;

/// Makes the calling thread one of those that compute. A program that calls this first, in `main`, saves a
/// wake-up and a wait in every op: a tenth of a training step of a small network.
///
/// Without it the ops' threads are others, as many as there are processors (or as the environment variable
/// `RAYON_NUM_THREADS` says), and the caller waits for them. So it stays where there is only one, and where
/// something was computed before.
pub fn compute_here() {
    let wanted = std::env::var("RAYON_NUM_THREADS").ok().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
    let threads = wanted.unwrap_or_else(|| available_parallelism().map_or(1, NonZero::get));
    // With no other thread there would be nobody to compute for threads that load data while this one waits
    // for them.
    if threads > 1 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
        // An error says that the threads are there already.
        let _ = pool.build_global();
    }
}
