//! Reverse-mode automatic differentiation: how a tensor was made, and the way back.
//!
//! Every op that touches a tracked tensor leaves a [`GradNode`]: its name, the nodes of its inputs
//! and a closure that turns the gradient of its output into gradients of its inputs. The node
//! holds no tensor. What the backward rule needs it has saved itself, and that memory is free as
//! soon as the walk has passed.

use std::cell::Cell;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use voxgrad_kernels::{Storage, ops::elementwise};

use crate::{Error, Result, Shape, Tensor, profile, recorder};

/// What flows back to one input: a buffer of the input's size, or nothing when it isn't wanted.
pub(crate) type Grad = Option<Arc<Storage>>;

/// A backward rule: the gradient of the output in, one gradient per input out. `wanted` says for
/// each input whether anybody will use its gradient. Nobody reads the gradient of the output after the
/// rule, so it may work in that memory if nobody else holds it.
type Rule = Box<dyn FnOnce(&mut Arc<Storage>, &[bool]) -> Result<Vec<Grad>> + Send>;

/// One op in the record, or a leaf.
pub(crate) struct GradNode {
    /// Grows with every node, so an op's id is above those of all its inputs.
    pub id: u64,
    pub op: &'static str,
    pub shape: Shape,
    inputs: Mutex<Vec<Option<Arc<GradNode>>>>,
    rule: Mutex<Option<Rule>>,
    /// At a leaf, the sum of all gradients so far; inside the graph, what arrived during a walk.
    grad: Mutex<Grad>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl GradNode {
    fn new(op: &'static str, shape: Shape, inputs: Vec<Option<Arc<GradNode>>>, rule: Option<Rule>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        GradNode {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            op,
            shape,
            inputs: Mutex::new(inputs),
            rule: Mutex::new(rule),
            grad: Mutex::new(None),
        }
    }

    pub fn leaf(shape: Shape) -> GradNode {
        GradNode::new("leaf", shape, Vec::new(), None)
    }

    pub fn is_leaf(&self) -> bool {
        self.op == "leaf"
    }

    pub fn inputs(&self) -> Vec<Option<Arc<GradNode>>> {
        lock(&self.inputs).clone()
    }

    pub fn grad(&self) -> Grad {
        lock(&self.grad).clone()
    }

    pub fn set_grad(&self, grad: Grad) {
        *lock(&self.grad) = grad;
    }

    /// Adds `more` to what has arrived so far.
    fn accumulate(&self, mut more: Arc<Storage>) -> Result<()> {
        loop {
            let mut grad = lock(&self.grad);
            let Some(mut sum) = grad.take() else {
                *grad = Some(more);
                return Ok(());
            };
            // The addition may wait for other threads, and one of them for this lock.
            drop(grad);
            if Arc::get_mut(&mut sum).is_none() {
                sum = Arc::new(sum.copy()?);
            }
            let own = Arc::get_mut(&mut sum).expect("the copy has one owner");
            elementwise::add_assign(own, &more)?;
            more = sum;
        }
    }
}

/// A long chain of nodes is taken apart with a loop: the default recursive drop would overflow
/// the stack.
impl Drop for GradNode {
    fn drop(&mut self) {
        let mut orphans = std::mem::take(&mut *lock(&self.inputs));
        while let Some(node) = orphans.pop() {
            if let Some(mut node) = node.and_then(Arc::into_inner) {
                let inputs = node.inputs.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
                orphans.append(inputs);
            }
        }
    }
}

impl fmt::Debug for GradNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{} {}", self.op, self.id, self.shape)
    }
}

thread_local! {
    static GRAD_ENABLED: Cell<bool> = const { Cell::new(true) };
}

/// Whether ops on this thread are being recorded.
pub fn is_grad_enabled() -> bool {
    GRAD_ENABLED.get()
}

/// Runs `body` without recording: for evaluation and for updates of parameters.
pub fn no_grad<R>(body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            GRAD_ENABLED.set(self.0);
        }
    }
    let _restore = Restore(GRAD_ENABLED.replace(false));
    body()
}

impl Tensor {
    /// The result of an op: `storage` of `shape`, with the backward rule that leads to `inputs`.
    /// Nothing is recorded when no input is tracked, or inside [`no_grad`].
    pub(crate) fn from_op(
        op: &'static str,
        storage: impl Into<Arc<Storage>>,
        shape: impl Into<Shape>,
        inputs: &[&Tensor],
        rule: impl FnOnce(&mut Arc<Storage>, &[bool]) -> Result<Vec<Grad>> + Send + 'static,
    ) -> Tensor {
        let shape = shape.into();
        let node = (is_grad_enabled() && inputs.iter().any(|x| x.is_tracked())).then(|| {
            let inputs = inputs.iter().map(|x| x.node().cloned()).collect();
            Arc::new(GradNode::new(op, shape.clone(), inputs, Some(Box::new(rule))))
        });
        let output = Tensor::with_node(storage.into(), shape, node);
        recorder::end(op, inputs, &output);
        output
    }

    /// Computes the gradient of this scalar with respect to every leaf it came from, and adds each
    /// to the leaf's [`Tensor::grad`]. The graph is used up.
    ///
    /// # Errors
    /// When the tensor has several elements (give [`Tensor::backward_with`] the gradient that
    /// arrives), is not tracked, or was walked before.
    pub fn backward(&self) -> Result<()> {
        if self.numel() != 1 {
            return Err(Error::Graph(format!(
                "a loss has one element, this tensor is {}; reduce it with sum or mean, or call backward_with",
                self.shape()
            )));
        }
        self.backward_with(&Tensor::full(1.0, self.shape(), self.dtype(), &self.device())?)
    }

    /// As [`Tensor::backward`], with `grad` arriving at this tensor (the "vector" of a
    /// vector-Jacobian product).
    pub fn backward_with(&self, grad: &Tensor) -> Result<()> {
        let Some(root) = self.node() else {
            return Err(Error::Graph(
                "no gradient is recorded here: no input had requires_grad, or it ran inside no_grad".into(),
            ));
        };
        if grad.shape() != self.shape() || grad.dtype() != self.dtype() {
            return Err(Error::Graph(format!("the gradient {grad:?} does not fit the tensor {self:?}")));
        }
        root.accumulate(grad.storage())?;
        let mut waiting = BinaryHeap::from([ById(root.clone())]);
        let walked = walk(&mut waiting);
        // After an error, what arrived inside the graph must not be counted by a later walk.
        for ById(node) in waiting.drain().filter(|ById(node)| !node.is_leaf()) {
            node.set_grad(None);
        }
        walked
    }
}

/// Visits the graph from the highest id down. An op's id is above its inputs' ids, so when a node
/// comes up, everything that uses it has already added to its gradient.
fn walk(waiting: &mut BinaryHeap<ById>) -> Result<()> {
    while let Some(ById(node)) = waiting.pop() {
        while waiting.peek().is_some_and(|next| next.0.id == node.id) {
            waiting.pop();
        }
        if node.is_leaf() {
            continue;
        }
        let grad = lock(&node.grad).take();
        let (Some(mut grad), Some(rule)) = (grad, lock(&node.rule).take()) else {
            return Err(Error::Graph(format!(
                "{} was already walked: before a second backward run the forward pass again, or add the losses up and go back once",
                node.op
            )));
        };
        let inputs = node.inputs();
        let wanted: Vec<bool> = inputs.iter().map(Option::is_some).collect();
        profile::backward(&node, || {
            let grads = rule(&mut grad, &wanted)?;
            debug_assert_eq!(grads.len(), inputs.len(), "{}: one gradient per input", node.op);
            for (input, grad) in inputs.into_iter().zip(grads) {
                if let (Some(input), Some(grad)) = (input, grad) {
                    debug_assert_eq!(Some(grad.len()), input.shape.numel().ok(), "{}", node.op);
                    input.accumulate(grad)?;
                    waiting.push(ById(input));
                }
            }
            Ok(())
        })?;
    }
    Ok(())
}

struct ById(Arc<GradNode>);

impl Ord for ById {
    fn cmp(&self, other: &ById) -> std::cmp::Ordering {
        self.0.id.cmp(&other.0.id)
    }
}
impl PartialOrd for ById {
    fn partial_cmp(&self, other: &ById) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for ById {
    fn eq(&self, other: &ById) -> bool {
        self.0.id == other.0.id
    }
}
impl Eq for ById {}
