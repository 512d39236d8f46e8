// What the steps of all optimizers share, the same as in cpu.rs. Put in front of them.

// The gradient with weight decay; without any, a parameter that is infinite leaves it alone.
fn decay(g: f32, w: f32, weight_decay: f32) -> f32 {
    return select(g + weight_decay * w, g, weight_decay == 0.0);
}

// From a to b by weight, from whichever end is nearer, so that a weight of 1 gives b.
fn lerp(a: f32, b: f32, weight: f32) -> f32 {
    return select(b - (b - a) * (1.0 - weight), a + weight * (b - a), weight < 0.5);
}
