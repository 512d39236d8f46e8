//! The graph behind a tensor, as Graphviz text.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write;

use crate::Tensor;

/// The record of how `tensor` was made, in Graphviz's dot language: an ellipse per op, a box per
/// leaf, each with the shape it gave, and an arrow from every input to the op that used it.
/// `dot -Tpng graph.dot` draws it.
///
/// ```
/// use voxgrad_engine::{Device, Tensor, graph};
///
/// let w = Tensor::new(&[0.5f32, -1.0], [2], &Device::cpu())?.requires_grad();
/// let dot = graph::to_dot(&w.tanh()?.sum_all()?);
/// assert!(dot.contains("tanh"));
/// # Ok::<(), voxgrad_engine::Error>(())
/// ```
pub fn to_dot(tensor: &Tensor) -> String {
    let mut nodes = BTreeMap::new();
    let mut waiting: Vec<_> = tensor.node().cloned().into_iter().collect();
    while let Some(node) = waiting.pop() {
        if let Entry::Vacant(place) = nodes.entry(node.id) {
            waiting.extend(node.inputs().into_iter().flatten());
            place.insert(node);
        }
    }
    let mut dot = String::from("digraph {\n  rankdir=TB;\n");
    for (id, node) in &nodes {
        let form = if node.is_leaf() { "box" } else { "ellipse" };
        // Writing to a String cannot fail.
        let _ = writeln!(dot, "  n{id} [shape={form}, label=\"{}\\n{}\"];", node.op, node.shape);
        for input in node.inputs().iter().flatten() {
            let _ = writeln!(dot, "  n{} -> n{id};", input.id);
        }
    }
    dot + "}\n"
}
