//! Modules, their names and their state, from outside the crate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use voxgrad_engine::nn::{Module, Sequential, Slot, TrainingFlag, init};
use voxgrad_engine::{DType, Device, Result, Tensor, manual_seed, module};

/// Has one of everything a module can have.
struct Layer {
    weight: Tensor,
    running: Tensor,
    calls: AtomicU64,
    training: TrainingFlag,
}

impl Layer {
    fn new(n: usize) -> Result<Layer> {
        let zeros = || Tensor::zeros([n], DType::F32, &Device::cpu());
        let (weight, running) = (zeros()?.requires_grad(), zeros()?);
        Ok(Layer { weight, running, calls: AtomicU64::new(0), training: TrainingFlag::default() })
    }
}

impl Module for Layer {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        x.softmax(-1)
    }
    fn tensors(&self) -> Vec<(&'static str, Slot<'_>)> {
        vec![
            ("weight", Slot::Parameter(&self.weight)),
            ("running", Slot::Buffer(&self.running)),
            ("calls", Slot::Counter(&self.calls)),
        ]
    }
    fn set_training(&self, on: bool) {
        self.training.set(on);
    }
}

module! {
    /// A tree: a list, a shared layer, and a sequence.
    struct Tree(width: usize, depth: usize) {
        stem: Layer = Layer::new(width)?,
        blocks: Vec<Arc<Layer>> = vec![Arc::new(Layer::new(depth)?); depth],
        head: Sequential = Sequential::new().append(Layer::new(1)?).append(Layer::new(2)?),
    }
    forward(self, x) {
        let out = self.stem.forward(x)?;
        self.head.forward(&self.blocks.forward(&out)?)
    }
}

fn names(entries: &[(String, Tensor)]) -> Vec<&str> {
    entries.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn names_are_dotted_in_order_and_shared_tensors_come_once() {
    let tree = Tree::new(5, 2).unwrap();
    let parameters = tree.named_parameters();
    assert_eq!(names(&parameters), ["stem.weight", "blocks.0.weight", "head.0.weight", "head.1.weight"]);
    assert_eq!(tree.num_parameters(), 5 + 2 + 1 + 2);
    assert_eq!(tree.named_buffers().len(), 5);
    let state = tree.state_dict().unwrap();
    assert_eq!(
        names(&state)[..7],
        [
            "stem.weight",
            "stem.running",
            "stem.calls",
            "blocks.0.weight",
            "blocks.0.running",
            "blocks.0.calls",
            "blocks.1.weight"
        ]
    );
}

#[test]
fn forward_and_training_reach_every_child() {
    let tree = Tree::new(5, 2).unwrap();
    tree.forward(&Tensor::zeros([2, 3], DType::F32, &Device::cpu()).unwrap()).unwrap();
    assert_eq!(tree.blocks[0].calls.load(Ordering::Relaxed), 2);
    tree.eval();
    assert!(!tree.stem.training.get() && !tree.blocks[1].training.get());
    tree.train();
    assert!(tree.stem.training.get() && tree.blocks[1].training.get());
}

#[test]
fn a_state_dict_is_a_snapshot_that_can_be_put_back() {
    let tree = Tree::new(5, 2).unwrap();
    init::constant(&tree.stem.weight, 3.0).unwrap();
    tree.stem.calls.store(7, Ordering::Relaxed);
    let state = tree.state_dict().unwrap();
    init::constant(&tree.stem.weight, 4.0).unwrap();
    tree.stem.calls.store(8, Ordering::Relaxed);

    let other = Tree::new(5, 2).unwrap();
    other.to_dtype(DType::F64).unwrap();
    for net in [&tree, &other] {
        net.load_state_dict(&state).unwrap();
        assert_eq!(net.stem.weight.to_f64_vec().unwrap(), [3.0; 5]);
        assert_eq!(net.stem.calls.load(Ordering::Relaxed), 7);
    }
    assert_eq!(other.stem.weight.dtype(), DType::F64);
    assert!(other.stem.weight.is_tracked());
}

#[test]
fn a_state_dict_that_does_not_fit_names_everything_and_changes_nothing() {
    let tree = Tree::new(5, 1).unwrap();
    init::constant(&tree.stem.weight, 1.0).unwrap();
    let mut state = Tree::new(5, 1).unwrap().state_dict().unwrap();
    let scalar = |x: f64| Tensor::full(x, [], DType::F32, &Device::cpu()).unwrap();
    let of = |state: &[(String, Tensor)], name: &str| state.iter().position(|(n, _)| n == name).unwrap();
    let at = of(&state, "stem.calls");
    state[at].1 = scalar(-1.0);
    let at = of(&state, "stem.running");
    state[at].1 = Tensor::zeros([5], DType::U32, &Device::cpu()).unwrap();
    let at = of(&state, "head.1.weight");
    state[at].1 = Tensor::zeros([2, 1], DType::F32, &Device::cpu()).unwrap();
    let at = of(&state, "blocks.0.running");
    state.remove(at);
    state.push(("tail.bias".into(), Tensor::zeros([9], DType::F32, &Device::cpu()).unwrap()));
    state.push(state[0].clone());

    let message = tree.load_state_dict(&state).unwrap_err().to_string();
    for part in [
        "missing: blocks.0.running [1]",
        "unexpected: tail.bias [9]",
        "head.1.weight: [2, 1] given, the network has [2]",
        "stem.running: u32 given, the network has f32",
        "stem.calls: -1 is not a count",
        "given twice: stem.weight",
    ] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    assert_eq!(tree.stem.weight.to_f64_vec().unwrap(), [1.0; 5]);
}

#[test]
fn parameters_are_not_integers() {
    let error = Tree::new(1, 1).unwrap().to_dtype(DType::U32).unwrap_err();
    assert!(error.to_string().contains("u32"), "{error}");
}

fn moments(tensor: &Tensor) -> (f64, f64, f64) {
    let values = tensor.to_f64_vec().unwrap();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let std = (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    (mean, std, values.iter().fold(0.0, |m, x| m.max(x.abs())))
}

#[test]
fn initialisers_have_the_spread_of_their_formula() {
    use init::{Fan, Nonlinearity::*};
    manual_seed(1);
    // fan_in = 32 * 9 = 288, fan_out = 64 * 9 = 576
    let w = Tensor::zeros([64, 32, 3, 3], DType::F32, &Device::cpu()).unwrap();
    assert_eq!((Fan::In.of(&w).unwrap(), Fan::Out.of(&w).unwrap()), (288, 576));
    type Init = fn(&Tensor) -> Result<()>;
    let cases: [(&str, Init, f64, bool); 9] = [
        ("uniform", |w| init::uniform(w, -0.5, 0.5), 0.5 / 3f64.sqrt(), true),
        ("normal", |w| init::normal(w, 0.0, 2.0), 2.0, false),
        ("kaiming in relu", |w| init::kaiming_normal(w, Fan::In, ReLU), (2.0 / 288f64).sqrt(), false),
        ("kaiming out relu", |w| init::kaiming_normal(w, Fan::Out, ReLU), (2.0 / 576f64).sqrt(), false),
        ("kaiming tanh", |w| init::kaiming_uniform(w, Fan::In, Tanh), 5.0 / 3.0 / 288f64.sqrt(), true),
        ("default", |w| init::kaiming_uniform(w, Fan::In, LeakyReLU(5f64.sqrt())), (864f64).powf(-0.5), true),
        ("selu", |w| init::kaiming_uniform(w, Fan::In, SELU), 0.75 / 288f64.sqrt(), true),
        ("xavier", |w| init::xavier_uniform(w, 1.0), (2.0 / 864f64).sqrt(), true),
        ("xavier normal", |w| init::xavier_normal(w, 3.0), 3.0 * (2.0 / 864f64).sqrt(), false),
    ];
    for (name, init, wanted, bounded) in cases {
        init(&w).unwrap();
        let (mean, std, largest) = moments(&w);
        assert!(mean.abs() < 0.03 * wanted, "{name}: mean {mean}");
        assert!((std / wanted - 1.0).abs() < 0.02, "{name}: std {std}, wanted {wanted}");
        let bound = wanted * 3f64.sqrt();
        let limits = if bounded { 0.999 * bound..1.0001 * bound } else { 3.5 * wanted..7.0 * wanted };
        assert!(limits.contains(&largest), "{name}: largest {largest}");
    }
}

#[test]
fn initial_values_depend_on_the_seed_and_the_call_alone() {
    let draw = || {
        let w = Tensor::zeros([7], DType::F32, &Device::cpu()).unwrap();
        init::normal(&w, 0.0, 1.0).unwrap();
        w.to_vec::<f32>().unwrap()
    };
    manual_seed(3);
    let (first, second) = (draw(), draw());
    assert_ne!(first, second);
    manual_seed(3);
    assert_eq!(first, draw());
    manual_seed(4);
    assert_ne!(first, draw());
}

#[test]
fn impossible_initial_values_are_errors() {
    let w = Tensor::zeros([4], DType::F32, &Device::cpu()).unwrap();
    let labels = Tensor::zeros([4], DType::U32, &Device::cpu()).unwrap();
    let errors = [
        init::uniform(&w, 1.0, 0.0),
        init::normal(&w, 0.0, f64::NAN),
        init::normal(&labels, 0.0, 1.0),
        init::xavier_uniform(&w, 1.0),
    ];
    for error in errors {
        error.unwrap_err();
    }
}
