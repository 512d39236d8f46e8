//! Conversion on the processor.

use crate::Element;
use crate::ops::elementwise::cpu::in_chunks;

/// `y[i] = convert(x[i])`
pub fn convert<X: Element, Y: Element>(x: &[X], y: &mut [Y], convert: impl Fn(X) -> Y + Sync) {
    in_chunks(y, &|first, y| {
        y.iter_mut().zip(&x[first..]).for_each(|(y, &x)| *y = convert(x));
    });
}
