//! Skies, what stands against them, and the camera's noise.

use voxgrad_engine::random::Rng;

use super::outline::SIDE;

/// Colours that skies have; only their hue counts, brightness is chosen apart.
const HUES: [[f32; 3]; 8] = [
    [0.35, 0.60, 0.95], // noon
    [0.55, 0.75, 0.95], // morning
    [0.80, 0.85, 0.90], // haze
    [0.95, 0.60, 0.35], // sunset
    [0.90, 0.70, 0.65], // dawn
    [0.45, 0.40, 0.65], // dusk
    [0.50, 0.53, 0.56], // storm
    [0.35, 0.70, 0.72], // sea
];

/// A picture in the making: red, green and blue of each pixel, 0 to 1.
pub struct Picture([[f32; 3]; SIDE * SIDE]);

impl Picture {
    /// A sky of about this brightness: one colour runs into another, and clouds pass.
    pub fn sky(rng: &mut Rng, brightness: f32) -> Picture {
        let [from, to] = [(); 2].map(|()| colour(rng, brightness, 0.1));
        let (sin, cos) = rng.range(-0.6, 0.6).sin_cos();
        let mut picture = Picture([[0.0; 3]; SIDE * SIDE]);
        for (i, pixel) in picture.0.iter_mut().enumerate() {
            let (x, y) = centred(i);
            let t = (0.5 + 0.5 * (sin * x + cos * y)).clamp(0.0, 1.0);
            *pixel = mix(from, to, t);
        }
        for _ in 0..rng.below(4) {
            picture.cloud(rng, brightness);
        }
        picture
    }

    /// Three to six soft blobs side by side.
    fn cloud(&mut self, rng: &mut Rng, brightness: f32) {
        let colour = mix(colour(rng, brightness, 0.18), [brightness; 3], 0.5);
        let (mut x, y) = (rng.range(-1.2, 0.6), rng.range(-1.0, 1.0));
        for _ in 0..3 + rng.below(4) {
            let (rx, ry) = (rng.range(0.15, 0.5), rng.range(0.08, 0.25));
            self.blob([x, y + rng.range(-0.1, 0.1)], [rx, ry], colour, rng.range(0.3, 0.9));
            x += 0.8 * rx;
        }
    }

    /// An ellipse that fades towards its rim; coordinates run from -1 to 1.
    fn blob(&mut self, [bx, by]: [f32; 2], [rx, ry]: [f32; 2], colour: [f32; 3], strength: f32) {
        for (i, pixel) in self.0.iter_mut().enumerate() {
            let (x, y) = centred(i);
            let (dx, dy) = ((x - bx) / rx, (y - by) / ry);
            let inside = (1.0 - dx * dx - dy * dy).max(0.0);
            *pixel = mix(*pixel, colour, strength * (1.0 - (1.0 - inside) * (1.0 - inside)));
        }
    }

    /// Fills what is covered with about this brightness, lighter on one side than on the other.
    pub fn silhouette(&mut self, rng: &mut Rng, covered: &[f32; SIDE * SIDE], brightness: f32) {
        let [from, to] = [(); 2].map(|()| colour(rng, brightness, 0.06));
        let (sin, cos) = rng.range(0.0, std::f32::consts::TAU).sin_cos();
        for (i, (pixel, &covered)) in self.0.iter_mut().zip(covered).enumerate() {
            let (x, y) = centred(i);
            let own = mix(from, to, (0.5 + 0.5 * (sin * x + cos * y)).clamp(0.0, 1.0));
            *pixel = mix(*pixel, own, covered);
        }
    }

    /// A small cloud in front of everything.
    pub fn veil(&mut self, rng: &mut Rng, brightness: f32) {
        let colour = colour(rng, brightness, 0.05);
        let (x, y) = (rng.range(-0.7, 0.7), rng.range(-0.7, 0.7));
        self.blob([x, y], [rng.range(0.15, 0.45), rng.range(0.15, 0.35)], colour, rng.range(0.6, 1.0));
    }

    /// Adds noise and writes the picture as bytes, `[3, 32, 32]`.
    pub fn write(&self, rng: &mut Rng, image: &mut [u8]) {
        let strength = rng.range(0.01, 0.04);
        for (c, plane) in image.chunks_exact_mut(SIDE * SIDE).enumerate() {
            for (byte, pixel) in plane.iter_mut().zip(&self.0) {
                *byte = (255.0 * (pixel[c] + strength * noise(rng))).round().clamp(0.0, 255.0) as u8;
            }
        }
    }
}

/// A number around 0 with standard deviation 1, nearly normal: four random bytes added up.
fn noise(rng: &mut Rng) -> f32 {
    let sum: u32 = rng.next_u32().to_le_bytes().into_iter().map(u32::from).sum();
    (sum as f32 - 510.0) / 147.8
}

/// A random colour whose brightness differs from the one given by at most `vary`.
fn colour(rng: &mut Rng, brightness: f32, vary: f32) -> [f32; 3] {
    let hue = HUES[rng.below(HUES.len())];
    let own = (hue[0] + hue[1] + hue[2]) / 3.0;
    let brightness = brightness + rng.range(-vary, vary);
    hue.map(|part| (part * brightness / own + rng.range(-0.04, 0.04)).clamp(0.0, 1.0))
}

fn mix(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    std::array::from_fn(|c| a[c] + t * (b[c] - a[c]))
}

/// Where pixel `i` lies, from -1 to 1 in both directions.
fn centred(i: usize) -> (f32, f32) {
    let scale = |at: usize| (at as f32 + 0.5) * (2.0 / SIDE as f32) - 1.0;
    (scale(i % SIDE), scale(i / SIDE))
}
