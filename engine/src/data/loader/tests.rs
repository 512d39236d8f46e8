use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::*;
use crate::data::{BalancedSampler, Sample, TensorDataset};

/// `n` samples: sample i holds its number and a random one; what happens at `at` can be chosen.
struct Probe {
    n: usize,
    at: Option<(usize, Trouble)>,
    loaded: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Trouble {
    Fails,
    Panics,
    OtherShape,
}

impl Probe {
    fn new(n: usize) -> Probe {
        Probe { n, at: None, loaded: AtomicUsize::new(0) }
    }
}

impl Dataset for Probe {
    fn len(&self) -> usize {
        self.n
    }

    fn get(&self, index: usize, rng: &mut Rng) -> Result<Sample> {
        self.loaded.fetch_add(1, Ordering::SeqCst);
        // Uneven work, so that workers overtake each other.
        std::thread::sleep(Duration::from_micros((index as u64 * 7919) % 300));
        let mut shape = Shape::from([2]);
        match self.at {
            Some((at, Trouble::Fails)) if at == index => return data_error(format!("sample {at} is bad")),
            Some((at, Trouble::Panics)) if at == index => panic!("sample {at} is worse"),
            Some((at, Trouble::OtherShape)) if at == index => shape = Shape::from([2, 1]),
            _ => {}
        }
        Ok(Sample { input: vec![index as f32, rng.uniform()], shape, target: index as u32 % 3 })
    }
}

fn loader(dataset: Probe, batch_size: usize) -> DataLoader {
    DataLoader::new(Arc::new(dataset), batch_size).unwrap()
}

/// Everything an epoch gives, bit for bit.
fn contents(epoch: Epoch) -> Vec<(Vec<u32>, Vec<u32>, Vec<usize>)> {
    epoch
        .map(|batch| {
            let batch = batch.unwrap();
            let bits = batch.inputs.to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
            (bits, batch.targets.to_vec::<u32>().unwrap(), batch.indices)
        })
        .collect()
}

#[test]
fn in_order_without_shuffle_and_the_rest_at_the_end() {
    let loader = loader(Probe::new(7), 3);
    assert_eq!((loader.len(), loader.samples()), (3, 7));
    let batches: Vec<Batch> = loader.epoch(0).map(Result::unwrap).collect();
    let indices: Vec<_> = batches.iter().map(|b| b.indices.clone()).collect();
    assert_eq!(indices, [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    assert_eq!(batches[1].inputs.shape()[..], [3, 2]);
    assert_eq!(batches[1].targets.to_vec::<u32>().unwrap(), [0, 1, 2]);
    assert_eq!(batches[2].inputs.shape()[..], [1, 2]);

    let loader = loader.drop_last(true);
    assert_eq!(loader.len(), 2);
    assert_eq!(loader.epoch(0).count(), 2);
}

#[test]
fn a_shuffled_epoch_has_every_sample_once_in_an_order_of_its_own() {
    let loader = loader(Probe::new(50), 8).shuffle(1);
    let order = |loader: &DataLoader, epoch| -> Vec<usize> {
        loader.epoch(epoch).flat_map(|b| b.unwrap().indices).collect()
    };
    let first = order(&loader, 0);
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    assert_ne!(first, sorted);
    assert_eq!(first, order(&loader, 0));
    assert_ne!(first, order(&loader, 1));
    assert_ne!(first, order(&loader.clone().shuffle(2), 0));
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    let loader = loader(Probe::new(101), 4).shuffle(7);
    let alone = contents(loader.epoch(3));
    assert_eq!(alone.len(), 26);
    for workers in [1, 2, 3, 40] {
        assert_eq!(contents(loader.clone().workers(workers).epoch(3)), alone, "{workers} workers");
    }
    // The samples' random numbers change with the epoch even when the order doesn't.
    let unshuffled = DataLoader { order: Order::Given, ..loader };
    assert_ne!(contents(unshuffled.epoch(0))[0].0, contents(unshuffled.epoch(1))[0].0);
}

#[test]
fn an_epoch_can_be_entered_in_the_middle() {
    for workers in [0, 2] {
        let loader = loader(Probe::new(30), 4).shuffle(5).workers(workers);
        let whole = contents(loader.epoch(2));
        assert_eq!(contents(loader.epoch_from(2, 3)), whole[3..]);
        assert_eq!(loader.epoch_from(2, 8).count(), 0);
        assert_eq!(loader.epoch_from(2, 9).count(), 0);
    }
    // What is skipped is not loaded.
    let probe = Arc::new(Probe::new(30));
    let loader = DataLoader::new(probe.clone(), 4).unwrap();
    loader.epoch_from(0, 6).for_each(|batch| drop(batch.unwrap()));
    assert_eq!(probe.loaded.load(Ordering::SeqCst), 6);
}

#[test]
fn trouble_with_a_sample_is_the_last_item() {
    for (trouble, expected) in [
        (Trouble::Fails, "data: sample 9 is bad"),
        (Trouble::Panics, "data: loading sample 9 panicked: sample 9 is worse"),
        (
            Trouble::OtherShape,
            "data: a sample of shape [2, 1] does not fit into a batch of samples of shape [2]",
        ),
    ] {
        for workers in [0, 1, 3] {
            let probe = Probe { at: Some((9, trouble)), ..Probe::new(40) };
            let mut epoch = loader(probe, 4).workers(workers).epoch(0);
            assert!(epoch.next().unwrap().is_ok());
            assert!(epoch.next().unwrap().is_ok());
            assert_eq!(epoch.next().unwrap().unwrap_err().to_string(), expected);
            assert!(epoch.next().is_none());
        }
    }
}

#[test]
fn workers_load_a_bounded_number_ahead_and_end_with_the_epoch() {
    let probe = Arc::new(Probe::new(1000));
    let loader = DataLoader::new(probe.clone(), 2).unwrap().workers(3);
    let mut epoch = loader.epoch(0);
    epoch.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    // One batch taken; each worker has at most one waiting and one in its hands.
    let loaded = probe.loaded.load(Ordering::SeqCst);
    assert!((2..=2 * (1 + 3 * 2)).contains(&loaded), "{loaded} samples loaded");

    drop(epoch);
    drop(loader);
    assert_eq!(Arc::strong_count(&probe), 1, "a worker still holds the data set");
}

#[test]
fn settings_that_make_no_batches() {
    let error = DataLoader::new(Arc::new(Probe::new(3)), 0).err().unwrap().to_string();
    assert_eq!(error, "batch size: 0 is not allowed, at least 1 is");
    let empty = TensorDataset::new(vec![], [3], vec![]).unwrap();
    let error = DataLoader::new(Arc::new(empty), 4).err().unwrap().to_string();
    assert_eq!(error, "data: the data set is empty: there is nothing to make batches of");

    let too_small = loader(Probe::new(3), 4).drop_last(true).workers(2);
    assert!(too_small.is_empty());
    assert_eq!(too_small.epoch(0).count(), 0);
    // A batch size above the number of samples is one batch of all of them.
    assert_eq!(loader(Probe::new(3), usize::MAX).epoch(0).count(), 1);
}

#[test]
fn ready_samples_and_made_ones_give_the_same_batch() {
    let data =
        Arc::new(TensorDataset::new((0..24).map(|i| i as f32).collect(), [2, 3], vec![3, 2, 1, 0]).unwrap());
    struct Made(Arc<TensorDataset>);
    impl Dataset for Made {
        fn len(&self) -> usize {
            self.0.len()
        }
        fn get(&self, index: usize, rng: &mut Rng) -> Result<Sample> {
            self.0.get(index, rng)
        }
    }
    let ready = DataLoader::new(data.clone(), 3).unwrap().shuffle(1);
    let made = DataLoader::new(Arc::new(Made(data)), 3).unwrap().shuffle(1);
    assert_eq!(contents(ready.epoch(0)), contents(made.epoch(0)));
    let first = ready.epoch(0).next().unwrap().unwrap();
    assert_eq!(first.inputs.shape()[..], [3, 2, 3]);
}

#[test]
fn a_sampler_chooses_and_a_sample_that_comes_twice_is_drawn_twice() {
    let sampler = || BalancedSampler::new([vec![9], (0..9).collect()], 12).unwrap();
    let with = |workers| loader(Probe::new(10), 5).sampler(sampler(), 3).workers(workers);
    assert_eq!((with(0).len(), with(0).samples()), (3, 12));
    let whole = contents(with(0).epoch(1));
    let indices: Vec<usize> = whole.iter().flat_map(|(_, _, indices)| indices.clone()).collect();
    assert!(indices.iter().step_by(2).all(|i| *i == 9), "{indices:?}");
    let drawn = |sample: usize| whole[sample / 5].0[sample % 5 * 2 + 1];
    assert_ne!(drawn(0), drawn(2), "the same sample, but other random numbers");
    assert_eq!(contents(with(3).epoch(1)), whole, "whatever the number of workers");
    assert_eq!(contents(with(2).epoch_from(1, 2)), whole[2..]);
    assert_ne!(contents(with(0).epoch(2)), whole);
}
