//! The lecture's network for 28 x 28 digits.

use voxgrad_engine::Result;
use voxgrad_engine::nn::{BatchNorm2d, Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential};

/// Two convolutions with batch normalisation and a linear layer: `[N, 1, 28, 28]` becomes `[N, 10]`.
pub fn cnn() -> Result<Sequential> {
    Ok(Sequential::new()
        .append(Conv2d::new(1, 16, 5)?.padding(2))
        .append(BatchNorm2d::new(16)?)
        .append(ReLU)
        .append(MaxPool2d::new(2))
        .append(Conv2d::new(16, 32, 5)?.padding(2))
        .append(BatchNorm2d::new(32)?)
        .append(ReLU)
        .append(MaxPool2d::new(2))
        .append(Flatten::default())
        .append(Linear::new(32 * 7 * 7, 10)?))
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::nn::Module;
    use voxgrad_engine::{DType, Device, Tensor};

    use super::*;

    #[test]
    fn sizes_and_names_are_the_lectures() {
        let net = cnn().unwrap();
        assert_eq!(net.num_parameters(), (416 + 32) + (12_832 + 64) + 15_690);
        let names: Vec<String> = net.named_parameters().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[2..6], ["1.weight", "1.bias", "4.weight", "4.bias"]);
        assert_eq!(names[8..], ["9.weight", "9.bias"]);
        let mut x = Tensor::zeros([3, 1, 28, 28], DType::F32, &Device::cpu()).unwrap();
        let mut shapes = Vec::new();
        for layer in net.layers() {
            x = layer.forward(&x).unwrap();
            shapes.push(x.shape().to_vec());
        }
        assert_eq!(shapes[3], [3, 16, 14, 14]);
        assert_eq!(shapes[7], [3, 32, 7, 7]);
        assert_eq!(shapes[8], [3, 1568]);
        assert_eq!(shapes[9], [3, 10]);
    }
}
