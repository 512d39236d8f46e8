//! Every network of the chapter, trained in its own way.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use voxgrad::models::cifar2::{MODELS, Quirks, Settings};
use voxgrad::models::trainer::Outcome;
use voxgrad::{Device, checkpoint};

use crate::lesson::{assert_same_losses, refusal, run, settings};
use crate::{devices, metrics, write_cifar2};

/// Two epochs of `model`; of few blocks, if it has any.
fn variant(base: &Path, model: &str) -> Settings {
    let n_blocks = (model == "res-deep").then_some(2);
    Settings { model: model.into(), n_blocks, out: base.join(model), ..settings(base) }
}

fn train(settings: &Settings) -> Vec<String> {
    let (said, ended) = run(settings);
    assert_eq!(ended.unwrap(), Outcome::Finished, "{said:?}");
    said
}

fn config(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("config.json")).unwrap()).unwrap()
}

fn weights(out: &Path) -> Vec<f64> {
    let (tensors, _) = checkpoint::load(out.join("last.safetensors")).unwrap();
    tensors.iter().flat_map(|(_, tensor)| tensor.to_f64_vec().unwrap()).collect()
}

/// The largest difference between two networks' weights.
fn distance(a: &Path, b: &Path) -> f64 {
    let (a, b) = (weights(a), weights(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn every_variant_goes_on_where_it_stopped() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let correct = MODELS.iter().map(|model| (model.name, false));
    for (model, as_printed) in correct.chain([("dropout", true), ("res-deep", true)]) {
        let straight = Settings {
            as_printed,
            out: base.path().join(format!("{model}-{as_printed}")),
            ..variant(base.path(), model)
        };
        let said = train(&straight);
        assert!(said.iter().any(|line| line.starts_with(&format!("Model: {model}, "))), "{said:?}");
        let halved = Settings { epochs: 1, out: straight.out.join("halved"), ..straight.clone() };
        train(&halved);
        train(&Settings { epochs: 2, resume: true, ..halved.clone() });
        for name in ["last.safetensors", "best.safetensors"] {
            let [a, b] = [&straight.out, &halved.out].map(|out| fs::read(out.join(name)).unwrap());
            assert!(a == b, "{model}, as printed {as_printed}: {name} differs");
        }
        assert_eq!(metrics(&straight.out), metrics(&halved.out), "{model}, as printed {as_printed}");
    }
}

#[test]
fn every_variant_trains_on_every_device_as_on_the_cpu() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let devices = devices::present();
    for model in MODELS.iter().map(|model| model.name) {
        let on_cpu = variant(base.path(), model);
        train(&on_cpu);
        for device in devices.iter().filter(|device| **device != Device::Cpu) {
            let out = base.path().join(format!("{model} on a GPU"));
            let on_gpu = Settings { device: devices::name_of(device), out, ..on_cpu.clone() };
            train(&on_gpu);
            assert_same_losses(&on_gpu.out, &on_cpu.out);
        }
    }
}

#[test]
fn the_settings_file_says_what_matters_for_the_model() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let own = |settings: &Settings| {
        train(&Settings { epochs: 1, ..settings.clone() });
        let mut config = config(&settings.out);
        let common =
            "version lesson data data_md5 train_images val_images device build seed epochs batch_size";
        for key in common.split(' ') {
            assert!(config.as_object_mut().unwrap().remove(key).is_some(), "{key} is missing");
        }
        config
    };
    let of = |model, parameters, lr| json!({"model": model, "parameters": parameters, "optimizer": "SGD", "lr": lr});
    let with = |mut config: Value, key: &str, value: Value| {
        config[key] = value;
        config
    };
    assert_eq!(own(&variant(base.path(), "baseline")), of("baseline", 18_090, 0.01));
    let l2 = with(of("l2", 18_090, 0.01), "l2_lambda", 0.001.into());
    assert_eq!(own(&variant(base.path(), "l2")), l2);
    let l1 = with(of("l1", 18_090, 0.01), "l1_lambda", 0.001.into());
    assert_eq!(own(&variant(base.path(), "l1")), l1);
    let decay = with(of("weight-decay", 18_090, 0.01), "weight_decay", 0.002.into());
    assert_eq!(own(&variant(base.path(), "weight-decay")), decay);
    let deep = with(of("res-deep", 66_530 + 2 * 9_280, 0.003), "n_blocks", 2.into());
    assert_eq!(own(&variant(base.path(), "res-deep")), deep);
    let mut printed = with(of("res-deep", 75_810, 0.003), "n_blocks", 2.into());
    for quirk in ["shared_blocks", "no_shuffle", "no_eval_mode"] {
        printed[quirk] = true.into();
    }
    let as_printed = Settings { as_printed: true, ..variant(base.path(), "res-deep") };
    assert_eq!(own(&as_printed), printed);
}

#[test]
fn an_l2_term_by_autograd_and_weight_decay_end_at_the_same_weights() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 12, 0);
    for model in ["baseline", "l2", "weight-decay"] {
        // A large learning rate, so that the little that weights are pulled is seen.
        train(&Settings { lr: Some(0.1), ..variant(base.path(), model) });
    }
    let out = |model: &str| base.path().join(model);
    let (same, other) = (distance(&out("l2"), &out("weight-decay")), distance(&out("l2"), &out("baseline")));
    assert!(same < 1e-6 && other > 1e-4, "{same} from weight decay, {other} from the baseline");
    let loss = |model: &str| metrics(&out(model))[0]["train_loss"].as_f64().unwrap();
    assert!(loss("l2") > loss("weight-decay") + 0.01, "the penalty is in the loss");
}

#[test]
fn measuring_in_training_mode_does_not_touch_the_training() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 12, 0);
    for model in ["dropout", "batch-norm", "baseline"] {
        let correct = variant(base.path(), model);
        let quirks = Quirks { no_eval_mode: true, ..Quirks::default() };
        let quirky = Settings { quirks, out: base.path().join("quirky").join(model), ..correct.clone() };
        train(&correct);
        train(&quirky);
        assert_eq!(weights(&correct.out), weights(&quirky.out), "{model}");
        let measured = |settings: &Settings| metrics(&settings.out)[1]["val_loss"].as_f64().unwrap();
        let (correct, quirky) = (measured(&correct), measured(&quirky));
        assert_eq!(correct == quirky, model == "baseline", "{model}: {correct} and {quirky}");
    }
}

#[test]
fn quirks_change_the_training_they_are_about() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let with = |quirks, seed| {
        let out = base.path().join(format!("{quirks:?}{seed}"));
        let settings = Settings { quirks, seed, epochs: 1, out, ..variant(base.path(), "res-deep") };
        let said = train(&settings);
        (said.into_iter().find(|line| line.starts_with("Model: ")).unwrap(), weights(&settings.out))
    };
    let (said, correct) = with(Quirks::default(), 0);
    assert_eq!(said, "Model: res-deep, 2 blocks, 85090 parameters");
    let (said, ordered) = with(Quirks { no_shuffle: true, ..Quirks::default() }, 0);
    assert_eq!(said, "Model: res-deep, 2 blocks, not shuffled, 85090 parameters");
    assert_ne!(ordered, correct);
    let (said, shared) = with(Quirks { shared_blocks: true, ..Quirks::default() }, 0);
    assert_eq!(said, "Model: res-deep, 2 blocks, one block shared, 75810 parameters");
    // The file holds the shared block under both of its names, as PyTorch's does.
    assert_eq!(shared.len(), correct.len());
}

#[test]
fn another_model_or_option_is_no_run_to_go_on_with() {
    let base = tempfile::tempdir().unwrap();
    write_cifar2(&base.path().join("data"), 4, 0);
    let deep = Settings { epochs: 1, ..variant(base.path(), "res-deep") };
    train(&deep);
    let saved = fs::read(deep.out.join("resume.safetensors")).unwrap();
    let resumed = Settings { resume: true, epochs: 2, ..deep };
    let other = |change: fn(&mut Settings)| {
        let mut settings = resumed.clone();
        change(&mut settings);
        refusal(&settings)
    };
    let message = other(|s| (s.model, s.n_blocks) = ("l2".into(), None));
    assert!(message.contains(r#"model was "res-deep", now it is "l2""#), "{message}");
    assert!(message.contains("n_blocks was 2, now it is unset"), "{message}");
    assert!(message.contains("l2_lambda was unset, now it is 0.001"), "{message}");
    assert!(other(|s| s.n_blocks = Some(3)).contains("n_blocks was 2, now it is 3"));
    assert!(other(|s| s.quirks.no_shuffle = true).contains("no_shuffle was unset, now it is true"));
    assert!(other(|s| s.as_printed = true).contains("shared_blocks was unset, now it is true"));
    assert_eq!(fs::read(resumed.out.join("resume.safetensors")).unwrap(), saved);
    train(&resumed);
}
