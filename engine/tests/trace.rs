//! Looking into a network: traces, summaries, and errors that name a layer.

use std::sync::Arc;

use voxgrad_engine::nn::{
    BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential, Slot, Step, module,
};
use voxgrad_engine::{DType, Device, Result, Tensor, manual_seed};

module! {
    struct Block(channels: usize) {
        conv: Conv2d = Conv2d::new(channels, channels, 3)?.padding(1).bias(false),
        norm: BatchNorm2d = BatchNorm2d::new(channels)?,
    }
    forward(self, x) {
        self.norm.forward(&self.conv.forward(x)?)?.relu()?.add(x)
    }
}

module! {
    /// One block twice, and a drop between linear layers.
    struct Net {
        stem: Conv2d = Conv2d::new(1, 2, 3)?.padding(1),
        blocks: Vec<Arc<Block>> = vec![Arc::new(Block::new(2)?); 2],
        drop: Dropout = Dropout::new(0.5)?,
        head: Linear = Linear::new(2 * 4 * 4, 3)?,
    }
    forward(self, x) {
        let out = self.blocks.forward(&self.stem.forward(x)?.tanh()?)?.max_pool2d(2)?;
        self.head.forward(&self.drop.forward(&out.flatten(1)?)?)
    }
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F32, &Device::cpu()).unwrap()
}

fn layers_and_ops(steps: &[Step]) -> Vec<(&str, &str)> {
    steps.iter().map(|step| (step.layer.as_str(), step.op)).collect()
}

const OPS: [(&str, &str); 14] = [
    ("", "input"),
    ("stem", "conv2d"),
    ("", "tanh"),
    ("blocks.0.conv", "conv2d"),
    ("blocks.0.norm", "batch_norm"),
    ("", "relu"),
    ("", "add"),
    ("blocks.1.conv", "conv2d"),
    ("blocks.1.norm", "batch_norm"),
    ("", "relu"),
    ("", "add"),
    ("", "max_pool2d"),
    ("", "flatten"),
    ("head", "linear"),
];

#[test]
fn a_trace_lists_every_op_with_its_layer() {
    let net = Net::new().unwrap();
    net.eval();
    let x = zeros(&[5, 1, 8, 8]);
    let trace = net.trace(&x);
    assert_eq!(layers_and_ops(&trace.steps), OPS);
    let shapes: Vec<&[usize]> = trace.steps.iter().map(|step| &step.output.shape()[..]).collect();
    assert_eq!(shapes[0], [5, 1, 8, 8]);
    assert_eq!(shapes[1], [5, 2, 8, 8]);
    assert_eq!(shapes[11..], [&[5, 2, 4, 4][..], &[5, 32], &[5, 3]]);
    // The last result is the output, and that of the network without a trace.
    let output = trace.output.unwrap();
    assert_eq!(output.to_vec::<f32>().unwrap(), trace.steps[13].output.to_vec::<f32>().unwrap());
    assert_eq!(output.to_vec::<f32>().unwrap(), net.forward(&x).unwrap().to_vec::<f32>().unwrap());
    // In training mode it drops, and the graph is there.
    net.train();
    let trace = net.trace(&x);
    assert!(trace.steps.iter().any(|step| step.op == "dropout"));
    assert!(trace.output.unwrap().is_tracked());
    assert_eq!(net.trace(&x).steps.len(), 15, "the traces before left nothing behind");
}

#[test]
fn the_table_of_a_trace_shows_where_nan_comes_in() {
    let net = Net::new().unwrap();
    net.eval();
    let mut pixels = vec![0.5f32; 64];
    pixels[0] = f32::NAN;
    let table = net.trace(&Tensor::new(&pixels, [1, 1, 8, 8], &Device::cpu()).unwrap()).to_string();
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["layer", "op", "output", "mean", "std", "NaN"]);
    assert_eq!(lines[1][..], ["input", "[1,", "1,", "8,", "8]", "0.5000", "0.0000", "1.6%"]);
    // A 3 x 3 kernel at the corner reaches 4 of 64 places.
    assert_eq!((lines[2][0], lines[2][8]), ("stem", "6.2%"));
    assert_eq!((lines[14][0], lines[14][6]), ("head", "100%"));
}

#[test]
fn a_summary_counts_parameters_and_products_and_leaves_the_network_as_it_is() {
    let net = Net::new().unwrap();
    manual_seed(7);
    let random = voxgrad_engine::random::rng_state();
    let summary = net.summary(&[2, 1, 8, 8]).unwrap();
    assert_eq!(voxgrad_engine::random::rng_state(), random, "nothing was dropped");
    assert_eq!(net.blocks[0].norm.running_mean.as_ref().unwrap().to_vec::<f32>().unwrap(), [0.0; 2]);
    // Still in training mode.
    assert!(net.trace(&zeros(&[2, 1, 8, 8])).steps.iter().any(|step| step.op == "dropout"));

    let rows: Vec<_> = summary.rows.iter().map(|row| (row.parameters, row.multiply_adds)).collect();
    assert_eq!(rows[1], (2 * 9 + 2, 2 * 2 * 64 * 9));
    assert_eq!(rows[3], (2 * 2 * 9, 2 * 2 * 64 * 18));
    assert_eq!(rows[4], (4, 0));
    // The same block again: its weights are counted, its work is done again.
    assert_eq!(rows[7], (0, 2 * 2 * 64 * 18));
    assert_eq!(rows[13], (32 * 3 + 3, 2 * 3 * 32));
    assert_eq!(summary.parameters, net.num_parameters());
    assert_eq!(rows.iter().map(|row| row.0).sum::<usize>(), net.num_parameters());
    assert_eq!(rows.iter().map(|row| row.1).sum::<u64>(), summary.multiply_adds);

    let text = summary.to_string();
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["layer", "op", "output", "parameters", "multiply-adds"]);
    assert_eq!(lines[2].join(" "), "stem conv2d [2, 2, 8, 8] 20 2,304");
    assert_eq!(lines[3].join(" "), "tanh [2, 2, 8, 8]");
    assert_eq!(lines.last().unwrap().join(" "), "total 159 11,712");
}

#[test]
fn an_error_says_which_layer_and_why() {
    let net = Net::new().unwrap();
    let refusal = |shape: &[usize]| net.forward(&zeros(shape)).unwrap_err().to_string();
    assert_eq!(
        refusal(&[5, 1, 10, 10]),
        "head: linear: input [5, 50] has rows of 50, weight [3, 32] takes 32 (the network was given [5, 1, 10, 10])"
    );
    let message = refusal(&[5, 3, 8, 8]);
    assert!(message.starts_with("stem: conv2d: input has 3 channels"), "{message}");
    let message = refusal(&[2, 1, 1, 1]);
    assert!(message.starts_with("after blocks.0.norm: max_pool2d: the window does not fit"), "{message}");
    assert!(message.ends_with("(the network was given [2, 1, 1, 1])"), "{message}");
    assert_eq!(net.summary(&[5, 1, 10, 10]).unwrap_err().to_string(), refusal(&[5, 1, 10, 10]));

    // What went well before it is in the trace, and the error under the table.
    let trace = net.trace(&zeros(&[5, 1, 10, 10]));
    assert_eq!(layers_and_ops(&trace.steps).last(), Some(&("", "dropout")));
    assert!(trace.to_string().ends_with(
        "error: head: linear: input [5, 50] has rows of 50, weight \
        [3, 32] takes 32 (the network was given [5, 1, 10, 10])\n"
    ));
}

#[test]
fn a_sequence_names_its_layers_by_number() {
    let block = Sequential::new().append(ReLU).append(Conv2d::new(4, 2, 3).unwrap());
    let net = Sequential::new()
        .append(Conv2d::new(1, 4, 3).unwrap())
        .append(block)
        .append(MaxPool2d::new(2))
        .append(Flatten::default())
        .append(Linear::new(8, 1).unwrap());
    let summary = net.summary(&[1, 1, 8, 8]).unwrap();
    let layers: Vec<&str> = summary.rows.iter().map(|row| row.layer.as_str()).collect();
    assert_eq!(layers, ["", "0", "", "1.1", "", "", "4"]);
    let message = net.forward(&zeros(&[1, 1, 4, 4])).unwrap_err().to_string();
    assert!(message.starts_with("1.1: conv2d: "), "{message}");
    let message = net.forward(&zeros(&[1, 1, 5, 5])).unwrap_err().to_string();
    assert!(message.starts_with("after 1.1: max_pool2d: "), "{message}");
    // An error before the first layer is in none, even where an earlier pass has been further.
    let message = Sequential::new().append(Flatten::new(3)).append(net).forward(&zeros(&[1, 1])).unwrap_err();
    assert!(message.to_string().starts_with("flatten: "), "{message}");
}

/// A layer of one's own needs nothing for it but to list its tensors.
#[test]
fn a_layer_of_ones_own_is_named_too() {
    struct Scale(Tensor);
    impl Module for Scale {
        fn forward(&self, x: &Tensor) -> Result<Tensor> {
            x.mul(&self.0)
        }
        fn tensors(&self) -> Vec<(&'static str, Slot<'_>)> {
            vec![("factor", Slot::Parameter(&self.0))]
        }
    }
    let net = Sequential::new().append(ReLU).append(Scale(zeros(&[3]).requires_grad()));
    let summary = net.summary(&[2, 3]).unwrap();
    let row = &summary.rows[2];
    assert_eq!((row.layer.as_str(), row.op, row.parameters), ("1", "mul", 3));
}
