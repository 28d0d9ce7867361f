//! Ops that move elements without changing them.

use super::{Lower, Part};
use paring_ir::ops::{Pad, PadMode};
use paring_ir::{Graph, Node, OpRef};
use paring_runtime::Blob;
use paring_runtime::steps::pick::Pick;
use paring_tensor::{DType, Tensor, TensorType};
use std::collections::HashMap;
use std::sync::Arc;

/// Most elements of an input or output.
const MOST: usize = 1 << 24;

impl Lower<'_> {
    /// The step of a node that puts elements of its first operand to places which the other operands, constants, say.
    /// The fallback moves the numbers of the elements: what the node means is said in one place.
    pub(super) fn pick(&self, node: &Node) -> Option<Part> {
        let (&x, y) = (node.inputs().first()?, *node.outputs().first()?);
        let (from, to) = (self.ty(x), self.ty(y));
        let size = from.dtype.size();
        let (n, shape) = (self.shape(x)?.iter().product::<usize>(), self.shape(y)?);
        let many = n.max(shape.iter().product()) > MOST;
        if from.dtype != to.dtype || from.quant != to.quant || from.dtype == DType::I4 || many {
            return None;
        }
        let (mut op, mut fill) = (node.op.clone(), vec![0; size]);
        if let Some(pad) = node.op_as::<Pad>() {
            if let PadMode::Constant(real) = pad.mode {
                fill = self.stored(from, real)?;
                let zeros = Pad { mode: PadMode::Constant(0.0), ..pad.clone() };
                let zeros: OpRef = Arc::new(zeros);
                op = zeros;
            }
        } else if from.quant.is_some() {
            fill.clear();
        }
        let plain = |ty: &TensorType| TensorType::new(DType::I32, ty.shape.clone());
        let mut graph = Graph::new("places");
        let mut known = HashMap::new();
        known.insert(x, graph.add_input("x", plain(from)).ok()?);
        let mut operands = Vec::new();
        for v in node.inputs() {
            if !known.contains_key(v) {
                let (value, data) = (self.graph.value(*v), self.graph.constant(*v)?);
                let name = &*value.name;
                known.insert(*v, graph.add_const(name, data.clone(), value.ty.quant.clone()).ok()?);
            }
            operands.push(known[v]);
        }
        let outputs = vec![("y".to_owned(), plain(to))];
        let output = graph.add_typed_node("f", &op, &operands, outputs).ok()?;
        graph.add_output("y", output[0]);
        let mut session = self.fallback?.prepare(graph.verified().ok()?).ok()?;
        let numbers = (1..=i32::try_from(n).ok()?).collect();
        let input = Tensor::from_vec(self.shape(x)?, numbers).ok()?;
        let places = session.run(&[input]).ok()?.pop()?;
        let mut runs: Vec<u32> = Vec::new();
        for place in places.view::<i32>().ok()?.iter() {
            let place = u32::try_from(*place).ok().filter(|p| *p as usize <= n)?;
            if place == 0 && fill.is_empty() {
                return None;
            }
            // The fill follows itself, an element the one before it.
            let follows = |first: u32, count: u32| if first == 0 { 0 } else { first + count };
            if let Some([first, count]) = runs.last_chunk_mut()
                && place == follows(*first, *count)
            {
                *count += 1;
                continue;
            }
            runs.extend([place, 1]);
        }
        Some(Part::unary(Pick { size, fill, runs: Blob::of(&runs) }, x))
    }

    /// The bytes of a real number in a type.
    fn stored(&self, ty: &TensorType, real: f64) -> Option<Vec<u8>> {
        let number = match &ty.quant {
            None => Tensor::scalar(real),
            Some(q) => {
                let ((scale, zero), (low, high)) = (q.as_per_tensor()?, ty.dtype.int_range()?);
                let q = ((real / f64::from(scale)).round() as i64).saturating_add(i64::from(zero));
                Tensor::scalar(q.clamp(low, high))
            }
        };
        Some(number.cast(ty.dtype).bytes().to_vec())
    }
}
