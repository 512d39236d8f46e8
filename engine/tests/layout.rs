//! Reshaping, reordering, cutting and joining: small exact cases, gradients against finite
//! differences, empty tensors and errors.

mod common;

use common::*;
use voxgrad_engine::{DType, Shape, Tensor};

#[test]
fn reshaping() {
    let x = counted([2, 3, 4]);
    assert_eq!(x.reshape([6, 4]).unwrap().shape(), &Shape::from([6, 4]));
    assert_eq!(x.view(&[-1, 2]).unwrap().shape(), &Shape::from([12, 2]));
    assert_eq!(x.view(&[2, 12]).unwrap().shape(), &Shape::from([2, 12]));
    assert_eq!(x.flatten(1).unwrap().shape(), &Shape::from([2, 12]));
    assert_eq!(x.flatten(0).unwrap().shape(), &Shape::from([24]));
    assert_eq!(counted([]).flatten(0).unwrap().shape(), &Shape::from([1]));
    assert_eq!(x.unsqueeze(0).unwrap().shape(), &Shape::from([1, 2, 3, 4]));
    assert_eq!(x.unsqueeze(-1).unwrap().shape(), &Shape::from([2, 3, 4, 1]));
    assert_eq!(x.unsqueeze(1).unwrap().squeeze(1).unwrap().shape(), x.shape());
    assert_eq!(x.squeeze(1).unwrap().shape(), x.shape());
    assert_eq!(tensor(&[], [0, 3]).flatten(1).unwrap().shape(), &Shape::from([0, 3]));
    assert_error(x.reshape([5, 5]), "reshape: [2, 3, 4] has 24 elements, [5, 5] would have 25");
    assert_error(x.view(&[-1, 7]), "view: [2, 3, 4] does not fit into [-1, 7]");
    assert_error(x.view(&[-1, -1]), "view: [2, 3, 4] does not fit into [-1, -1]");
    assert_error(x.view(&[-1, 0]), "view: [2, 3, 4] does not fit into [-1, 0]");
    assert_error(x.flatten(3), "flatten: there is no dimension 3 in [2, 3, 4]");
    assert_error(
        x.reshape([1; 9]),
        "shape: [1, 1, 1, 1, 1, 1, 1, 1, 1] has 9 dimensions, at most 8 are possible",
    );
    check(&[random([2, 3], -1.0, 1.0)], |x| x[0].reshape([3, 2]));
}

#[test]
fn reordering() {
    let x = counted([2, 3]);
    assert_is(&x.t().unwrap(), [3, 2], &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let y = counted([2, 3, 2]).permute(&[2, 0, 1]).unwrap();
    assert_is(&y, [2, 2, 3], &[0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0]);
    assert_is(&counted([2, 1, 2]).transpose(0, -2).unwrap(), [1, 2, 2], &[0.0, 1.0, 2.0, 3.0]);
    assert_is(&u32s(&[1, 2, 3, 4]).view(&[2, 2]).unwrap().t().unwrap(), [2, 2], &[1.0, 3.0, 2.0, 4.0]);
    assert_is(&tensor(&[], [0, 2]).t().unwrap(), [2, 0], &[]);
    assert_error(x.permute(&[0, 0]), "permute: [0, 0] is not an order of the dimensions of [2, 3]");
    assert_error(x.permute(&[1]), "permute: [1] is not an order of the dimensions of [2, 3]");
    assert_error(counted([2]).t(), "t: [2] is not a matrix");
    check(&[random([2, 3, 4], -1.0, 1.0)], |x| x[0].permute(&[2, 0, 1]));
    check(&[random([2, 3, 4], -1.0, 1.0)], |x| x[0].transpose(0, 2));
}

/// Odd sizes that fill no tile, and long enough for several threads.
#[test]
fn large_transposes() {
    for (n, rows, columns) in [(1, 301, 203), (3, 130, 131), (2, 1, 70_000), (40, 3, 999)] {
        let x = counted([n, rows, columns]);
        let y = values(&x.transpose(1, 2).unwrap());
        for (i, y) in y.iter().enumerate() {
            let (image, column, row) = (i / (rows * columns), i / rows % columns, i % rows);
            assert_eq!(*y, ((image * rows + row) * columns + column) as f64);
        }
        let x = counted([rows, n, columns]);
        let y = values(&x.permute(&[2, 1, 0]).unwrap());
        for (i, y) in y.iter().enumerate() {
            let (column, image, row) = (i / (n * rows), i / rows % n, i % rows);
            assert_eq!(*y, ((row * n + image) * columns + column) as f64);
        }
    }
}

#[test]
fn expanding() {
    let x = tensor(&[1.0, 2.0], [2, 1]);
    assert_is(&x.expand([2, 3]).unwrap(), [2, 3], &[1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    assert_is(&x.expand([2, 2, 1]).unwrap(), [2, 2, 1], &[1.0, 2.0, 1.0, 2.0]);
    assert_is(&x.expand([2, 0]).unwrap(), [2, 0], &[]);
    assert_error(x.expand([3, 3]), "expand: [2, 1] and [3, 3] do not broadcast");
    assert_error(x.expand([1]), "expand: [2, 1] does not stretch to [1]");
    check(&[random([3, 1], -1.0, 1.0)], |x| x[0].expand([2, 3, 4]));
    let x = x.requires_grad();
    x.expand([2, 0]).unwrap().sum_all().unwrap().backward().unwrap();
    assert_is(&x.grad().unwrap(), [2, 1], &[0.0, 0.0]);
}

#[test]
fn concatenating() {
    let (a, b) = (counted([2, 1]), counted([2, 2]));
    assert_is(&Tensor::cat(&[&a, &b], 1).unwrap(), [2, 3], &[0.0, 0.0, 1.0, 1.0, 2.0, 3.0]);
    assert_is(&Tensor::cat(&[&b, &b], 0).unwrap(), [4, 2], &[0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0]);
    assert_is(&Tensor::cat(&[&a, &tensor(&[], [2, 0])], -1).unwrap(), [2, 1], &[0.0, 1.0]);
    assert_error(Tensor::cat(&[], 0), "cat: there is no tensor to concatenate");
    assert_error(Tensor::cat(&[&a, &b], 0), "cat: [[2, 1], [2, 2]] differ in more than dimension 0");
    let wrong = "cat: one tensor is f64, another f32; convert one with `.to_dtype(..)`";
    assert_error(Tensor::cat(&[&a, &f32s(&[0.0; 2], [2, 1])], 1), wrong);
    check(&[random([2, 1, 2], -1.0, 1.0), random([2, 3, 2], -1.0, 1.0)], |x| {
        Tensor::cat(&[&x[0], &x[1], &x[0]], 1)
    });
}

#[test]
fn slicing() {
    let x = counted([3, 4]);
    assert_is(&x.slice(0, 1, 3, 1).unwrap(), [2, 4], &[4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0]);
    assert_is(&x.slice(1, 0, 4, 3).unwrap(), [3, 2], &[0.0, 3.0, 4.0, 7.0, 8.0, 11.0]);
    assert_is(&x.slice(-1, 3, 100, 1).unwrap(), [3, 1], &[3.0, 7.0, 11.0]);
    assert_is(&x.slice(1, 4, 4, 1).unwrap(), [3, 0], &[]);
    assert_is(&x.slice(1, 3, 1, 1).unwrap(), [3, 0], &[]);
    assert_is(&x.slice(0, 1, 3, usize::MAX).unwrap(), [1, 4], &[4.0, 5.0, 6.0, 7.0]);
    assert_is(&x.narrow(0, 1, 1).unwrap(), [1, 4], &[4.0, 5.0, 6.0, 7.0]);
    assert_error(x.slice(0, 0, 2, 0), "slice: a step of 0 along dimension 0 of [3, 4]");
    assert_error(x.narrow(1, 2, 3), "narrow: 3 elements from 2 leave dimension 1 of [3, 4]");
    check(&[random([2, 5, 2], -1.0, 1.0)], |x| x[0].slice(1, 1, 5, 2));
    check(&[random([2, 5, 2], -1.0, 1.0)], |x| x[0].narrow(2, 1, 1));
}

#[test]
fn padding() {
    let x = counted([2, 2]);
    assert_is(&x.pad(&[1, 0], 9.0).unwrap(), [2, 3], &[9.0, 0.0, 1.0, 9.0, 2.0, 3.0]);
    let y = x.pad(&[0, 1, 1, 0], -1.0).unwrap();
    assert_is(&y, [3, 3], &[-1.0, -1.0, -1.0, 0.0, 1.0, -1.0, 2.0, 3.0, -1.0]);
    assert!(u32s(&[5]).pad(&[1, 1], 7.0).is_err());
    assert_is(&tensor(&[], [0]).pad(&[1, 1], 7.0).unwrap(), [2], &[7.0, 7.0]);
    assert_error(x.pad(&[1], 0.0), "pad: [1] are not pairs for the last dimensions of [2, 2]");
    assert!(x.pad(&[usize::MAX, usize::MAX], 0.0).is_err());
    check(&[random([2, 2, 3], -1.0, 1.0)], |x| x[0].pad(&[1, 2, 0, 1], 0.5));
}

#[test]
fn selecting() {
    let x = counted([3, 2]);
    let index = u32s(&[2, 0, 2]);
    assert_is(&x.index_select(0, &index).unwrap(), [3, 2], &[4.0, 5.0, 0.0, 1.0, 4.0, 5.0]);
    assert_is(&x.index_select(1, &u32s(&[1])).unwrap(), [3, 1], &[1.0, 3.0, 5.0]);
    assert_is(&x.index_select(1, &u32s(&[])).unwrap(), [3, 0], &[]);
    let range = "index_select: index 3 at position 1, but the dimension has 3";
    assert_error(x.index_select(0, &u32s(&[0, 3])), range);
    let float = "index_select: expected u32 indices, got f64; convert it with `.to_dtype(..)`";
    assert_error(x.index_select(0, &counted([1])), float);
    check(&[random([2, 3, 2], -1.0, 1.0)], |x| x[0].index_select(1, &u32s(&[2, 0, 2, 2])));
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let x = random([7, 300, 101], -2.0, 2.0).to_dtype(DType::F32).unwrap();
    assert_same_on_any_threads(|| {
        let x = x.requires_grad();
        let wide = x.permute(&[2, 0, 1])?.pad(&[1, 1], 1.0)?.unsqueeze(0)?.expand([2, 101, 7, 302])?;
        let y = Tensor::cat(&[&wide, &wide], 1)?.slice(3, 1, 300, 2)?;
        y.sum_all()?.backward()?;
        Ok(vec![y, x.grad().unwrap()])
    });
}
