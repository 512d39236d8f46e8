//! Photographs as ImageNet's networks want them: the middle of the image, 224 x 224, normalised.

use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader};
use voxgrad_engine::{Device, Tensor};

use super::SIDE;
use crate::{Error, Result};

/// Mean and standard deviation of ImageNet's red, green and blue, as all of PyTorch's networks have them.
const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
const STD: [f32; 3] = [0.229, 0.224, 0.225];
/// A file of some bytes can ask for very much.
const MOST_BYTES: u64 = 512 << 20;
/// The shorter side before the middle is cut out.
const SHORTER_SIDE: usize = 256;

/// A picture in 8-bit red, green and blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    width: usize,
    height: usize,
    /// `[height, width, 3]`
    rgb: Vec<u8>,
    /// What was done to make it red, green and blue.
    pub note: Option<&'static str>,
}

impl Photo {
    /// Reads a PNG or JPEG file, and turns it as its camera says.
    ///
    /// Red, green and blue of a picture in grey are all that grey. One with transparent parts is laid on
    /// white. Of 16 bits, the upper 8 are taken.
    ///
    /// # Errors
    /// When the file can't be read, is neither PNG nor JPEG, is damaged, or would take more than 512 MiB.
    pub fn read(path: &Path) -> Result<Photo> {
        let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
        let reader = reader.map_err(Error::io(path))?;
        if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg)) {
            return Err(Error::file(path, "neither a PNG nor a JPEG file".into()));
        }
        let broken = |e: ImageError| Error::file(path, format!("it cannot be shown: {e}"));
        let mut decoder = reader.into_decoder().map_err(broken)?;
        if decoder.total_bytes() > MOST_BYTES {
            let ((width, height), most) = (decoder.dimensions(), MOST_BYTES >> 20);
            let message = format!("{width} x {height} pixels would take more than {most} MiB");
            return Err(Error::file(path, message));
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
        picture.apply_orientation(orientation);
        Ok(Photo::of(picture))
    }

    fn of(picture: DynamicImage) -> Photo {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let color = picture.color();
        let note = match (color.has_color(), color.has_alpha()) {
            (true, false) => None,
            (false, false) => Some("grey, as equal red, green and blue"),
            (true, true) => Some("its transparent parts on white"),
            (false, true) => Some("grey, as equal red, green and blue, its transparent parts on white"),
        };
        let rgb = match color.has_alpha() {
            false => picture.into_rgb8().into_raw(),
            true => picture.into_rgba8().pixels().flat_map(|pixel| on_white(pixel.0)).collect(),
        };
        Photo { width, height, rgb, note }
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// The picture, enlarged or made smaller until its shorter side has 256 pixels, and of that the
    /// middle: `[224, 224, 3]`. Any size will do: of one pixel it is all that pixel's colour.
    ///
    /// These are torchvision's `Resize(256)`, bilinear with antialias on a PIL image, and `CenterCrop(224)`,
    /// but for the rounding between across and down, where newer versions of PIL choose which comes first.
    /// Only what will be in the middle is computed, so a thin strip is no more work than a square.
    pub fn middle(&self) -> Vec<u8> {
        let shorter = self.width.min(self.height);
        let scaled = |side: usize| (SHORTER_SIDE as u128 * side as u128 / shorter as u128) as usize;
        let (columns, rows) = (taps(self.width, scaled(self.width)), taps(self.height, scaled(self.height)));
        // Across, each of the rows that a pixel of the middle needs; then down.
        let first = rows.iter().map(|tap| tap.first).min().unwrap_or(0);
        let end = rows.iter().map(|tap| tap.first + tap.weights.len()).max().unwrap_or(0);
        let mut across = Vec::with_capacity((end - first) * SIDE * 3);
        for row in self.rgb.chunks_exact(3 * self.width).take(end).skip(first) {
            for tap in &columns {
                across.extend([0, 1, 2].map(|c| tap.sum(|column| row[3 * column + c])));
            }
        }
        let mut middle = Vec::with_capacity(SIDE * SIDE * 3);
        for tap in &rows {
            middle.extend((0..3 * SIDE).map(|i| tap.sum(|row| across[3 * SIDE * (row - first) + i])));
        }
        middle
    }

    /// [`Photo::middle`] as numbers, (pixel / 255 - mean) / std for ImageNet's mean and standard deviation
    /// of each channel: `[1, 3, 224, 224]`.
    pub fn normalised(&self, device: &Device) -> Result<Tensor> {
        let middle = self.middle();
        let plane = |c: usize| {
            let pixels = middle.iter().skip(c).step_by(3);
            pixels.map(move |&pixel| (f32::from(pixel) / 255.0 - MEAN[c]) / STD[c])
        };
        let planes: Vec<f32> = (0..3).flat_map(plane).collect();
        Ok(Tensor::new(&planes, [1, 3, SIDE, SIDE], device)?)
    }
}

/// A colour with alpha over white.
fn on_white([r, g, b, alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    [r, g, b].map(|c| ((u32::from(c) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
}

/// What goes into one pixel: those from `first` on, in these parts of [`WHOLE`].
struct Tap {
    first: usize,
    weights: Vec<u32>,
}

/// PIL computes in whole numbers, so that two machines never round differently.
const WHOLE: u32 = 1 << 22;

impl Tap {
    /// Rounded to 8 bits, as PIL rounds after each direction.
    fn sum(&self, pixel: impl Fn(usize) -> u8) -> u8 {
        let all = self.weights.iter().enumerate();
        let sum: u64 = all.map(|(i, weight)| u64::from(*weight) * u64::from(pixel(self.first + i))).sum();
        ((sum + u64::from(WHOLE / 2)) / u64::from(WHOLE)).min(255) as u8
    }
}

/// How each pixel in the middle of a line of `to` pixels comes from a line of `from`: a triangle as wide as
/// two pixels of the wider-spaced line, over the place that it lies at.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f64 / to as f64;
    let reach = scale.max(1.0);
    // Python's round: a half goes to the even neighbour.
    let start = ((to - SIDE) as f64 / 2.0).round_ties_even() as usize;
    let tap = |position: usize| {
        let centre = (position as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        let weight = |i: usize| (1.0 - ((i as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let weights: Vec<f64> = (first..end).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        let part = |w: f64| (w / sum * f64::from(WHOLE) + 0.5) as u32;
        Tap { first, weights: weights.into_iter().map(part).collect() }
    };
    (start..start + SIDE).map(tap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn photo(width: usize, height: usize, rgb: Vec<u8>) -> Photo {
        Photo { width, height, rgb, note: None }
    }

    #[test]
    fn one_pixel_fills_the_image() {
        let middle = photo(1, 1, vec![10, 20, 255]).middle();
        assert!(middle.chunks(3).all(|pixel| pixel == [10, 20, 255]));
        assert_eq!(middle.len(), 3 * SIDE * SIDE);
    }

    #[test]
    fn of_256_x_256_pixels_it_is_the_middle() {
        let rgb = (0..256 * 256 * 3).map(|i| (i / 3 % 256) as u8 ^ (i / 768) as u8).collect();
        let middle = photo(256, 256, rgb).middle();
        assert_eq!(middle[0], 16 ^ 16);
        assert_eq!(middle[3 * (5 * SIDE + 7)], (16 + 7) ^ (16 + 5));
    }

    #[test]
    fn a_strip_of_any_length_is_no_more_work() {
        let strip = photo(1, 100_000, (0..300_000).map(|i| (i / 3 / 400) as u8).collect());
        let middle = strip.middle();
        assert!(middle.iter().all(|&c| c == 124 || c == 125), "the middle of the strip");
    }

    #[test]
    fn grey_is_three_equal_colours_and_alpha_is_white() {
        let grey = Photo::of(image::GrayImage::from_raw(2, 1, vec![0, 200]).unwrap().into());
        assert_eq!(grey.rgb, [0, 0, 0, 200, 200, 200]);
        assert!(grey.note.unwrap().starts_with("grey"));
        let clear = image::RgbaImage::from_raw(3, 1, vec![9, 9, 9, 0, 50, 60, 70, 255, 0, 100, 200, 51]);
        let clear = Photo::of(clear.unwrap().into());
        // A fifth of the last colour, the rest white.
        assert_eq!(clear.rgb, [255, 255, 255, 50, 60, 70, 204, 224, 244]);
        assert!(clear.note.unwrap().contains("white"));
        let deep = image::ImageBuffer::<image::LumaA<u16>, _>::from_raw(1, 1, vec![65535u16, 65535]);
        assert_eq!(Photo::of(DynamicImage::ImageLumaA16(deep.unwrap())).rgb, [255, 255, 255]);
    }

    #[test]
    fn what_is_no_picture_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("photo.png");
        let message = || Photo::read(&path).unwrap_err().to_string();
        assert!(message().contains("photo.png"), "{}", message());
        std::fs::write(&path, "GIF89a").unwrap();
        assert!(message().ends_with("neither a PNG nor a JPEG file"), "{}", message());
        image::RgbImage::new(40, 40).save(&path).unwrap();
        assert_eq!(Photo::read(&path).unwrap().size(), (40, 40));
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 3, 8, 20, whole.len() / 2, whole.len() - 13] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(message().contains("photo.png: "), "{}", message());
        }
    }

    #[test]
    fn a_small_file_cannot_ask_for_all_memory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("photo.png");
        image::RgbImage::new(4, 4).save(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // Signature, length and name of the first chunk, then width and height; its checksum is at 29.
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        std::fs::write(&path, bytes).unwrap();
        let message = Photo::read(&path).unwrap_err().to_string();
        assert!(message.ends_with("65536 x 65536 pixels would take more than 512 MiB"), "{message}");
    }
}
