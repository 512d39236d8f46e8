//! The shapes: airplanes have straight lines, swept wings, fins and engines; birds have curved
//! wings, a beak and a tail like a fan. Both are seen from below, from the side and from the front.
//!
//! Their unit is half a body's length; x points forward and y to the left, or upwards.

use voxgrad_engine::random::Rng;

use super::outline::Outline;

/// A silhouette is the union of some outlines.
pub type Silhouette = Vec<Outline>;

/// An airplane from some side, no two alike.
pub fn airplane(rng: &mut Rng) -> Silhouette {
    match rng.below(3) {
        0 => airplane_from_below(rng),
        1 => airplane_from_the_side(rng),
        _ => airplane_from_the_front(rng),
    }
}

/// A bird from some side, no two alike.
pub fn bird(rng: &mut Rng) -> Silhouette {
    match rng.below(3) {
        0 => bird_from_below(rng),
        1 => bird_from_the_side(rng),
        _ => bird_from_the_front(rng),
    }
}

/// A part on both sides of the body.
fn both_sides(shape: &mut Silhouette, part: Outline) {
    shape.push(part.flipped());
    shape.push(part);
}

/// A tube with a round nose at `nose` and a pointed tail at -1.
fn fuselage(half: f32, nose: f32) -> Outline {
    Outline::from(-1.0, 0.02)
        .line(-0.5, half)
        .line(nose - 0.25, half)
        .curve([nose, half], [nose, 0.0])
        .curve([nose, -half], [nose - 0.25, -half])
        .line(-0.5, -half)
        .line(-1.0, -0.02)
}

/// A straight wing from the body outwards: where its front edge starts, how far out it reaches,
/// how far back it is swept, and its depth at the body and at the tip.
fn straight_wing(front: f32, span: f32, sweep: f32, root: f32, tip: f32) -> Outline {
    Outline::from(front, 0.0)
        .line(front - sweep, span)
        .line(front - sweep - tip, span)
        .line(front - root, 0.0)
}

fn airplane_from_below(rng: &mut Rng) -> Silhouette {
    let mut shape = vec![fuselage(rng.range(0.09, 0.13), 1.0)];
    let (front, span) = (rng.range(0.2, 0.4), rng.range(0.85, 1.1));
    let sweep = rng.range(0.15, 0.6);
    both_sides(&mut shape, straight_wing(front, span, sweep, rng.range(0.38, 0.5), rng.range(0.12, 0.2)));
    let (tail_span, tail_sweep) = (rng.range(0.3, 0.42), 0.4 * sweep + 0.05);
    both_sides(&mut shape, straight_wing(-0.65, tail_span, tail_sweep, 0.25, 0.13));
    let engines = 1 + rng.below(2);
    for engine in 0..engines {
        let out = span * (0.33 + 0.3 * engine as f32);
        let edge = front - sweep * out / span;
        both_sides(
            &mut shape,
            Outline::from(edge + 0.14, out - 0.06)
                .line(edge + 0.14, out + 0.06)
                .line(edge - 0.15, out + 0.06)
                .line(edge - 0.15, out - 0.06),
        );
    }
    shape
}

fn airplane_from_the_side(rng: &mut Rng) -> Silhouette {
    let half = rng.range(0.12, 0.16);
    let mut shape = vec![fuselage(half, 1.0)];
    let fin = rng.range(0.4, 0.6);
    shape.push(
        Outline::from(-0.5, half * 0.7)
            .line(-0.5 - 0.65 * fin, half + fin)
            .line(-0.72 - 0.65 * fin, half + fin)
            .line(-0.95, 0.0),
    );
    // The near wing reaches towards the viewer: down and back.
    let (reach, back) = (rng.range(0.25, 0.5), rng.range(0.35, 0.6));
    shape.push(
        Outline::from(0.25, -0.02)
            .line(0.25 - back, -half - reach)
            .line(0.1 - back, -half - reach)
            .line(-0.2, -0.05),
    );
    shape.push(Outline::from(-0.7, 0.06).line(-1.0, -0.12).line(-1.14, -0.12).line(-0.95, 0.06));
    shape.push(Outline::ellipse([0.2 - 0.3 * back, -half - 0.08], 0.17, 0.08));
    shape
}

fn airplane_from_the_front(rng: &mut Rng) -> Silhouette {
    let body = rng.range(0.16, 0.22);
    let mut shape = vec![Outline::ellipse([0.0, 0.0], body, body)];
    let (span, rise) = (rng.range(1.0, 1.25), rng.range(0.0, 0.18));
    let wing = Outline::from(0.0, 0.02).line(span, rise).line(span, rise - 0.05).line(0.0, -0.15);
    let tail = Outline::from(0.0, 0.14).line(0.45, 0.2).line(0.45, 0.15).line(0.0, 0.04);
    let fin = rng.range(0.5, 0.75);
    shape.push(Outline::from(-0.05, 0.0).line(-0.03, fin).line(0.03, fin).line(0.05, 0.0));
    let engines = 1 + rng.below(2);
    let engines = (0..engines).map(|i| Outline::ellipse([0.4 + 0.33 * i as f32, -0.13], 0.1, 0.1));
    for part in [wing, tail].into_iter().chain(engines) {
        shape.push(part.moved(|[x, y]| [-x, y]));
        shape.push(part);
    }
    shape
}

/// A drop: round in front, drawn out behind, with a head and a beak.
fn bird_body(shape: &mut Silhouette, half: f32, beak: f32) {
    shape.push(
        Outline::from(-0.7, 0.0)
            .curve([-0.1, 1.6 * half], [0.45, 0.9 * half])
            .curve([0.7, 0.0], [0.45, -0.9 * half])
            .curve([-0.1, -1.6 * half], [-0.7, 0.0]),
    );
    shape.push(Outline::ellipse([0.58, 0.02], 0.19, 0.15));
    shape.push(Outline::from(0.7, 0.09).line(0.75 + beak, 0.0).line(0.7, -0.06));
}

/// Tail feathers spread to both sides of the body's line.
fn fan(spread: f32) -> Outline {
    Outline::from(-0.4, 0.0).line(-1.0, spread).curve([-1.15, 0.0], [-1.0, -spread])
}

fn bird_from_below(rng: &mut Rng) -> Silhouette {
    let mut shape = vec![fan(rng.range(0.18, 0.35))];
    bird_body(&mut shape, rng.range(0.13, 0.18), rng.range(0.15, 0.3));
    // Forward to the wrist, then back to the tip in a bow.
    let (span, wrist) = (rng.range(1.1, 1.45), rng.range(0.35, 0.7));
    let (tip, depth) = (rng.range(-0.55, 0.1), rng.range(0.3, 0.45));
    both_sides(
        &mut shape,
        Outline::from(0.3, 0.0)
            .curve([wrist, 0.2 * span], [wrist - 0.1, 0.45 * span])
            .curve([wrist - 0.2, 0.8 * span], [tip, span])
            .curve([wrist - 0.2 - depth, 0.75 * span], [wrist - 0.1 - depth, 0.45 * span])
            .curve([-0.1, 0.2 * span], [-0.3, 0.0]),
    );
    shape
}

fn bird_from_the_side(rng: &mut Rng) -> Silhouette {
    let mut shape = vec![fan(rng.range(0.12, 0.25)).moved(|[x, y]| [x, y - 0.03])];
    bird_body(&mut shape, rng.range(0.16, 0.22), rng.range(0.15, 0.3));
    // The near wing and a bit of the far one, both up or both down.
    let height = rng.range(0.9, 1.3) * if rng.below(3) == 0 { -0.8 } else { 1.0 };
    let back = rng.range(-0.2, 0.7);
    let wing = |shift: f32, size: f32| {
        let h = height * size;
        Outline::from(0.32 + shift, 0.0)
            .curve([0.45 + shift, 0.55 * h], [-back + shift, h])
            .curve([-0.2 - 0.3 * back + shift, 0.55 * h], [-0.15 + shift, 0.0])
    };
    shape.push(wing(0.0, 1.0));
    shape.push(wing(0.22, rng.range(0.6, 0.95)));
    shape
}

fn bird_from_the_front(rng: &mut Rng) -> Silhouette {
    let body = rng.range(0.16, 0.24);
    let mut shape = vec![Outline::ellipse([0.0, -0.05], body, 1.15 * body)];
    // Up to the wrist and down again: the letter M that children draw.
    let (span, lift) = (rng.range(1.0, 1.25), rng.range(0.45, 0.8));
    let droop = rng.range(-0.25, 0.25);
    let wing = Outline::from(0.0, 0.12)
        .curve([0.35 * span, lift + 0.12], [0.6 * span, 0.8 * lift])
        .curve([0.9 * span, 0.6 * lift], [span, droop])
        .curve([0.75 * span, 0.45 * lift], [0.5 * span, 0.5 * lift])
        .curve([0.3 * span, 0.4 * lift], [0.0, -0.15]);
    shape.push(wing.moved(|[x, y]| [-x, y]));
    shape.push(wing);
    shape
}
