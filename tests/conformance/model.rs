//! A case of a whole network: logits, loss, every gradient, the batch-norm buffers after one step and
//! the losses of a training.

use voxgrad_engine::nn::Module;
use voxgrad_engine::ops::CrossEntropyOptions;
use voxgrad_engine::{DType, Device};
use voxgrad_models::cifar2::nets::{Net, NetBatchNorm, NetResDeep};
use voxgrad_models::luna::model::{BiasInit, LunaModel};
use voxgrad_models::mnist;

use crate::case::{Case, Result};
use crate::check::{self, Report};
use crate::training;

fn network(name: &str) -> Result<Box<dyn Module>> {
    Ok(match name {
        "cifar2-net" => Box::new(Net::new()?),
        "cifar2-batchnorm" => Box::new(NetBatchNorm::new()?),
        "cifar2-resdeep3-unshared" => Box::new(NetResDeep::new(3)?),
        "mnist-cnn" => Box::new(mnist::net::cnn()?),
        "luna" => Box::new(LunaModel::new(BiasInit::Zeros)?),
        _ => return Err(format!("there is no network {name:?}").into()),
    })
}

pub fn run(report: &mut Report, case: &Case, dtype: DType, device: &Device) -> Result<()> {
    let p = case.params();
    let model = network(&p.text_or("net", "")?)?;
    model.to_dtype(dtype)?;
    let load = |part: &str| {
        let name = part.strip_prefix("param.").unwrap_or(part).to_string();
        Ok((name, case.part(part)?.tensor(dtype, &Device::cpu())?))
    };
    let state = case.list("parameters").into_iter().map(load).collect::<Result<Vec<_>>>()?;
    model.load_state_dict(&state)?;
    model.to(device)?;
    model.train();
    let mut optimizer = training::optimizer(&p.text_or("optimizer", "sgd")?, &p, model.parameters())?;

    let input = |part: &str| case.part(part)?.tensor(dtype, device);
    let (x, y) = (input("in.x")?, input("in.y")?);
    let steps = case.part("losses")?.shape.iter().product();
    let mut losses: Vec<f64> = Vec::new();
    for step in 0..steps {
        optimizer.zero_grad();
        let logits = model.forward(&x)?;
        let loss = logits.cross_entropy(&y, &CrossEntropyOptions::default())?;
        loss.backward()?;
        losses.push(loss.item()?);
        if step == 0 {
            check::tensor(report, case, "logits", &logits, dtype)?;
            check::tensor(report, case, "loss", &loss, dtype)?;
            let parameters = model.named_parameters();
            for part in case.list("grads") {
                let name = part.strip_prefix("grad.").unwrap_or(part);
                let parameter = parameters.iter().find(|(n, _)| n == name).map(|(_, p)| p);
                let grad =
                    parameter.and_then(|p| p.grad()).ok_or_else(|| format!("no gradient of {name}"))?;
                check::tensor(report, case, part, &grad, dtype)?;
            }
            for (name, value) in model.state_dict()? {
                let part = format!("buffer_after_1.{name}");
                if case.stored(&part).is_some() {
                    check::tensor(report, case, &part, &value, dtype)?;
                }
            }
        }
        optimizer.step()?;
    }
    check::values(report, case, "losses", &losses, dtype, &device.to_string())
}
