//! What a convolution is: by hand on a tiny matrix, and as pictures with kernels that do something one
//! can see.

use voxgrad_engine::ops::ConvOptions;
use voxgrad_engine::{Device, Error, Result, Tensor};

/// The book's kernel that blurs: every pixel becomes the mean of its 3 x 3 neighbours.
pub(super) const BLUR: [f32; 9] = [1.0 / 9.0; 9];
/// The book's kernel that finds vertical edges: what is right of a pixel less what is left of it.
pub(super) const VERTICAL_EDGES: [f32; 9] = [-1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0, 1.0];
/// The same lying down: what is below a pixel less what is above it.
pub(super) const HORIZONTAL_EDGES: [f32; 9] = [-1.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0];

/// A convolution as one would write it down: the kernel lies on every place of the image where it fits,
/// what lies on each other is multiplied, and the products are added up.
///
/// `image: [H, W]` and `kernel: [KH, KW]` give `[H - KH + 1, W - KW + 1]`.
///
/// # Errors
/// When one is no matrix, or the kernel does not fit.
pub fn apply_kernel(image: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let (&[rows, columns], &[kernel_rows, kernel_columns]) = (&image.shape()[..], &kernel.shape()[..]) else {
        return no_fit(image, kernel);
    };
    if kernel_rows == 0 || kernel_columns == 0 || kernel_rows > rows || kernel_columns > columns {
        return no_fit(image, kernel);
    }
    let (x, w) = (image.to_vec::<f32>()?, kernel.to_vec::<f32>()?);
    let (out_rows, out_columns) = (rows - kernel_rows + 1, columns - kernel_columns + 1);
    let mut y = vec![0.0; out_rows * out_columns];
    for i in 0..out_rows {
        for j in 0..out_columns {
            for a in 0..kernel_rows {
                for b in 0..kernel_columns {
                    y[i * out_columns + j] += x[(i + a) * columns + j + b] * w[a * kernel_columns + b];
                }
            }
        }
    }
    Tensor::new(&y, [out_rows, out_columns], &image.device())
}

fn no_fit(image: &Tensor, kernel: &Tensor) -> Result<Tensor> {
    let message = format!("the kernel {} does not fit on the image {}", kernel.shape(), image.shape());
    Err(Error::Shape { op: "apply_kernel", message })
}

/// A kernel of 3 x 3 on all channels of `x: [N, C, H, W]` alike, with a margin of zeros, so that the
/// result `[N, 1, H, W]` is as large.
pub(super) fn convolve(x: &Tensor, kernel: &[f32; 9]) -> Result<Tensor> {
    let channels = x.size(1)?;
    let weight = Tensor::new(&kernel.repeat(channels), [1, channels, 3, 3], &x.device())?;
    x.conv2d(&weight, None, ConvOptions { padding: [1, 1], ..ConvOptions::default() })
}

/// The lesson's matrix and kernel, what [`apply_kernel`] makes of them, and that `conv2d` does the same.
pub fn convolution_by_hand() -> Result<String> {
    let cpu = Device::cpu();
    let image =
        [3, 3, 2, 1, 0, 0, 0, 1, 3, 1, 3, 1, 2, 2, 3, 2, 0, 0, 2, 2, 2, 0, 0, 0, 1].map(|x: u8| x.into());
    let image = Tensor::new::<f32>(&image, [5, 5], &cpu)?;
    let kernel = Tensor::new(&[0.0f32, 1.0, 2.0, 2.0, 2.0, 0.0, 0.0, 1.0, 2.0], [3, 3], &cpu)?;
    let y = apply_kernel(&image, &kernel)?;
    let (x, w) = (image.reshape([1, 1, 5, 5])?, kernel.reshape([1, 1, 3, 3])?);
    let same = x.conv2d(&w, None, ConvOptions::default())?.reshape(y.shape())?;
    Ok(format!(
        "A convolution by hand. The image:\n{}the kernel:\n{}apply_kernel(image, kernel):\n{}conv2d:\n{}",
        matrix(&image)?,
        matrix(&kernel)?,
        matrix(&y)?,
        matrix(&same)?
    ))
}

/// A matrix of whole numbers, row by row.
fn matrix(tensor: &Tensor) -> Result<String> {
    let columns = tensor.size(1)?;
    let row = |row: &[f32]| row.iter().map(|x| format!("{x:4}")).collect::<String>() + "\n";
    Ok(tensor.to_vec::<f32>()?.chunks(columns).map(row).collect())
}

/// What convolving and pooling do to the size of an image, each tried on one of `[1, 3, 32, 32]`.
pub(super) fn sizes(x: &Tensor) -> Result<String> {
    let weight = Tensor::new(&[0.0f32; 27], [1, 3, 3, 3], &x.device())?;
    let conv =
        |padding| x.conv2d(&weight, None, ConvOptions { padding: [padding; 2], ..ConvOptions::default() });
    let (bare, padded) = (conv(0)?, conv(1)?);
    let pooled = padded.max_pool2d(2)?;
    Ok(format!(
        "Sizes: an image is {}\n\
         \x20 a 3 x 3 kernel fits on fewer places:            {}\n\
         \x20 with a padding of 1 it keeps the size:          {}\n\
         \x20 max_pool2d(2) keeps one of each 2 x 2 of those: {}\n",
        x.shape(),
        bare.shape(),
        padded.shape(),
        pooled.shape()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32], shape: [usize; 2]) -> Tensor {
        Tensor::new(values, shape, &Device::cpu()).unwrap()
    }

    #[test]
    fn by_hand_is_what_conv2d_does() {
        let text = convolution_by_hand().unwrap();
        let by_hand = "  12  12  17\n  10  17  19\n   9   6  14\n";
        assert!(text.contains(&format!("kernel):\n{by_hand}conv2d:\n{by_hand}")), "{text}");
    }

    #[test]
    fn a_kernel_need_not_be_square() {
        let y =
            apply_kernel(&tensor(&[1., 2., 3., 4., 5., 6.], [2, 3]), &tensor(&[1., 10.], [2, 1])).unwrap();
        assert_eq!(y.to_vec::<f32>().unwrap(), [41., 52., 63.]);
    }

    #[test]
    fn a_kernel_that_does_not_fit_is_refused() {
        let square = tensor(&[0.0; 4], [2, 2]);
        for kernel in [tensor(&[0.0; 3], [3, 1]), tensor(&[], [0, 1]), square.flatten(0).unwrap()] {
            let message = apply_kernel(&square, &kernel).unwrap_err().to_string();
            assert!(
                message.contains(&format!("{} does not fit on the image [2, 2]", kernel.shape())),
                "{message}"
            );
        }
    }

    #[test]
    fn the_kernels_do_what_their_names_say() {
        // Left half dark, right half light.
        let halves: Vec<f32> = (0..36).map(|i| if i % 6 < 3 { 0.0 } else { 1.0 }).collect();
        let x = Tensor::new(&halves, [1, 1, 6, 6], &Device::cpu()).unwrap();
        let row = |kernel| convolve(&x, kernel).unwrap().to_vec::<f32>().unwrap()[12..18].to_vec();
        assert_eq!(row(&VERTICAL_EDGES), [0., 0., 3., 3., 0., -3.], "the last is the margin's edge");
        assert_eq!(row(&HORIZONTAL_EDGES), [0.; 6]);
        for (y, wanted) in row(&BLUR).into_iter().zip([0., 0., 1. / 3., 2. / 3., 1., 2. / 3.]) {
            assert!((y - wanted).abs() < 1e-6);
        }
    }

    #[test]
    fn sizes_are_those_of_the_ops() {
        let x = Tensor::new(&[0.0f32; 3 * 32 * 32], [1, 3, 32, 32], &Device::cpu()).unwrap();
        let text = sizes(&x).unwrap();
        for shape in ["[1, 3, 32, 32]\n", "[1, 1, 30, 30]\n", "[1, 1, 32, 32]\n", "[1, 1, 16, 16]\n"] {
            assert!(text.contains(shape), "{text}");
        }
    }
}
