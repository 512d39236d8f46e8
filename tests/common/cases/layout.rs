//! Ops that move elements and compute nothing.

use voxgrad_engine::Tensor;

use super::{Case, case};
use crate::common::input::{below, uniform};

pub fn cases() -> Vec<Case> {
    let x = [uniform(&[2, 3, 4])];
    let large = [uniform(&[64, 16, 32, 32])];
    let moved = 64 * 16 * 32 * 32;
    vec![
        case("reshape", "[2, 3, 4] to [6, 4]", x.clone(), |t| t[0].reshape([6, 4])),
        case("reshape", "nothing", [uniform(&[0, 3])], |t| t[0].reshape([3, 0, 5])),
        case("view", "with a -1", x.clone(), |t| t[0].view(&[4, -1])),
        case("flatten", "from 1", x.clone(), |t| t[0].flatten(1)),
        case("flatten", "all", x.clone(), |t| t[0].flatten(0)),
        case("squeeze", "the middle", [uniform(&[3, 1, 2])], |t| t[0].squeeze(1)),
        case("unsqueeze", "at the end", x.clone(), |t| t[0].unsqueeze(-1)),
        case("permute", "3d", x.clone(), |t| t[0].permute(&[2, 0, 1])),
        case("permute", "4d", [uniform(&[2, 3, 5, 7])], |t| t[0].permute(&[0, 3, 1, 2])),
        case("permute", "nothing", [uniform(&[2, 0, 4])], |t| t[0].permute(&[2, 0, 1])),
        case("permute", "channels last", large.clone(), |t| t[0].permute(&[0, 2, 3, 1])).large(moved),
        case("transpose", "first and last", x.clone(), |t| t[0].transpose(0, -1)),
        case("t", "5 x 33", [uniform(&[5, 33])], |t| t[0].t()),
        case("t", "1024 x 1025", [uniform(&[1024, 1025])], |t| t[0].t()).large(1024 * 1025),
        case("expand", "[3, 1] to [2, 3, 5]", [uniform(&[3, 1])], |t| t[0].expand([2, 3, 5])),
        case("expand", "a scalar", [uniform(&[])], |t| t[0].expand([2, 3])),
        case("expand", "a channel to an image", [uniform(&[16, 1, 1])], |t| t[0].expand([64, 16, 32, 32]))
            .large(moved),
        case("cat", "two, dimension 0", [uniform(&[2, 3]), uniform(&[4, 3])], |t| {
            Tensor::cat(&[&t[0], &t[1]], 0)
        }),
        case(
            "cat",
            "three, the last dimension",
            [uniform(&[2, 3, 1]), uniform(&[2, 3, 4]), uniform(&[2, 3, 2])],
            |t| Tensor::cat(&[&t[0], &t[1], &t[2]], -1),
        ),
        case("cat", "with nothing", [uniform(&[0, 3]), uniform(&[4, 3])], |t| {
            Tensor::cat(&[&t[0], &t[1]], 0)
        }),
        case("cat", "a tensor with itself", [uniform(&[2, 3])], |t| Tensor::cat(&[&t[0], &t[0]], 1)),
        case("slice", "step 2", [uniform(&[5, 9])], |t| t[0].slice(1, 1, 8, 2)),
        case("slice", "the first dimension", [uniform(&[5, 4])], |t| t[0].slice(0, 1, 3, 1)),
        case("slice", "step 3, 4d", [uniform(&[2, 7, 3, 2])], |t| t[0].slice(-3, 0, 7, 3)),
        case("slice", "every other column", large.clone(), |t| t[0].slice(3, 0, 32, 2)).large(moved),
        case("narrow", "the middle", x.clone(), |t| t[0].narrow(2, 1, 2)),
        case("pad", "one dimension", [uniform(&[3, 4])], |t| t[0].pad(&[1, 2], 0.0)),
        case("pad", "two dimensions, a value", x.clone(), |t| t[0].pad(&[1, 0, 2, 3], -1.5)),
        case("pad", "images", large, |t| t[0].pad(&[1, 1, 1, 1], 0.0)).large(moved),
        case("index_select", "rows, some twice", [uniform(&[5, 3]), below(5, &[7])], |t| {
            t[0].index_select(0, &t[1])
        }),
        case("index_select", "columns", [uniform(&[2, 5, 3]), below(5, &[4])], |t| {
            t[0].index_select(1, &t[1])
        }),
        case("index_select", "an epoch's order", [uniform(&[1000, 768]), below(1000, &[1000])], |t| {
            t[0].index_select(0, &t[1])
        })
        .large(768_000),
    ]
}
