//! The walk back: what accumulates, what is refused, and what a refused walk leaves behind.

use voxgrad_engine::{DType, Device, Result, Tensor, is_grad_enabled, no_grad};

fn leaf(values: &[f64]) -> Result<Tensor> {
    Ok(Tensor::new(values, [values.len()], &Device::cpu())?.requires_grad())
}

fn grad(x: &Tensor) -> Result<Vec<f64>> {
    x.grad().expect("a gradient was collected").to_vec()
}

#[test]
fn gradients_accumulate_until_they_are_zeroed() -> Result<()> {
    let x = leaf(&[1.0, -2.0])?;
    for walks in 1..=3 {
        x.square()?.sum_all()?.backward()?;
        assert_eq!(grad(&x)?, [2.0 * f64::from(walks), -4.0 * f64::from(walks)]);
    }
    x.zero_grad();
    assert!(x.grad().is_none());
    Ok(())
}

#[test]
fn a_tensor_used_twice_gets_both_gradients() -> Result<()> {
    let x = leaf(&[3.0])?;
    x.mul(&x)?.add(&x)?.sum_all()?.backward()?;
    assert_eq!(grad(&x)?, [7.0]); // d(x^2 + x) = 2x + 1
    Ok(())
}

/// The failed walk has fed `a` before it met the used-up part of the graph.
#[test]
fn a_refused_walk_leaves_nothing_behind() -> Result<()> {
    let w = leaf(&[1.0])?;
    let a = w.mul_scalar(2.0)?;
    let h = w.mul_scalar(3.0)?.tanh()?;
    h.sum_all()?.backward()?;
    let error = a.sum_all()?.add(&h.sum_all()?)?.backward().unwrap_err().to_string();
    assert!(error.contains("already walked"), "{error}");
    w.zero_grad();
    a.sum_all()?.backward()?;
    assert_eq!(grad(&w)?, [2.0]);
    Ok(())
}

/// A graph that saved a parameter's values keeps them when the parameter changes.
#[test]
fn a_parameter_may_change_before_the_walk() -> Result<()> {
    let x = leaf(&[5.0])?;
    let loss = x.square()?.sum_all()?;
    x.set(&Tensor::full(100.0, [1], DType::F64, &Device::cpu())?)?;
    loss.backward()?;
    assert_eq!(grad(&x)?, [10.0]);
    Ok(())
}

#[test]
fn no_grad_and_detach_cut_the_graph() -> Result<()> {
    let x = leaf(&[2.0])?;
    assert!(!no_grad(|| x.square())?.is_tracked() && is_grad_enabled());
    x.square()?.detach().mul(&x)?.sum_all()?.backward()?;
    assert_eq!(grad(&x)?, [4.0]); // the square counts as a constant
    Ok(())
}

/// A size of 0 hides no size that the kernels could not count.
#[test]
fn sizes_beside_a_zero_are_checked_too() {
    for shape in [vec![0, 1 << 40, 1 << 40], vec![1 << 40, 1 << 40, 0], vec![0, 1 << 32]] {
        let error = Tensor::zeros(shape, DType::F32, &Device::cpu()).unwrap_err().to_string();
        assert!(error.contains("more elements than the 4294967295"), "{error}");
    }
    assert_eq!(Tensor::zeros([0, 7], DType::F32, &Device::cpu()).unwrap().numel(), 0);
}

/// PyTorch's rule holds for a threshold below 0 as well: above it the function is x itself.
#[test]
fn softplus_is_x_above_its_threshold() -> Result<()> {
    let x = leaf(&[-1.0, -6.0])?;
    let y = x.softplus(1.0, -5.0)?;
    assert_eq!(y.to_vec::<f64>()?[0], -1.0);
    assert!((y.to_vec::<f64>()?[1] - (-6.0f64).exp().ln_1p()).abs() < 1e-15);
    Ok(())
}
