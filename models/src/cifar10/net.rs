//! The course's network.

use voxgrad_engine::Result;
use voxgrad_engine::nn::{Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, module};

module! {
    /// Three stages of two convolutions and a pooling that halves the image, then three linear layers:
    /// `[N, 3, 32, 32]` becomes logits `[N, 10]`. 5,851,338 parameters, under the course's names
    /// (`network.0.weight`, ...).
    pub struct Cifar10Cnn {
        network: Sequential = network()?,
    }
    forward(self, x) {
        self.network.forward(x)
    }
}

fn network() -> Result<Sequential> {
    let mut net = Sequential::new();
    for [from, middle, to] in [[3, 32, 64], [64, 128, 128], [128, 256, 256]] {
        let conv = |from, to| Ok::<_, voxgrad_engine::Error>(Conv2d::new(from, to, 3)?.padding(1));
        net = net.append(conv(from, middle)?).append(ReLU).append(conv(middle, to)?).append(ReLU);
        net = net.append(MaxPool2d::new(2));
    }
    let net = net.append(Flatten::default()).append(Linear::new(256 * 4 * 4, 1024)?).append(ReLU);
    Ok(net.append(Linear::new(1024, 512)?).append(ReLU).append(Linear::new(512, 10)?))
}

#[cfg(test)]
mod tests {
    use voxgrad_engine::nn::Module;

    use super::*;

    #[test]
    fn parameters_and_names_are_the_courses() {
        let model = Cifar10Cnn::new().unwrap();
        assert_eq!(model.num_parameters(), 5_851_338);
        let names: Vec<String> = model.named_parameters().into_iter().map(|(name, _)| name).collect();
        for (i, layer) in [0, 2, 5, 7, 10, 12, 16, 18, 20].into_iter().enumerate() {
            assert_eq!(names[2 * i], format!("network.{layer}.weight"));
        }
        let summary = model.summary(&[128, 3, 32, 32]).unwrap().to_string();
        for shape in ["[128, 64, 16, 16]", "[128, 128, 8, 8]", "[128, 256, 4, 4]", "[128, 4096]", "[128, 10]"]
        {
            assert!(summary.contains(shape), "{shape} is missing:\n{summary}");
        }
    }
}
