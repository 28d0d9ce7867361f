use paring_ir::{DynOp, Graph, Node, Op};
use paring_qmath::Rounding;
use paring_tensor::{DType, Element, Tensor, TensorError, TensorType};
use std::any::TypeId;
use std::borrow::Cow;

/// The types of a node's operands and results.
#[derive(Clone, Copy, Debug)]
pub struct Types<'a> {
    /// Of the operands.
    pub inputs: &'a [&'a TensorType],
    /// Of the results.
    pub outputs: &'a [&'a TensorType],
}

/// One run of a node. The types have the extents of the values; where even those of the operands do
/// not decide, a result's type keeps its symbol.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The operands.
    pub inputs: &'a [Tensor],
    /// Their types and those of the results.
    pub types: Types<'a>,
    /// The rounding of integer kernels.
    pub rounding: Rounding,
}

/// Why a kernel gave no result.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The data: an index out of range, a division by zero.
    Data(String),
    /// The kernel itself.
    Internal(String),
}

impl From<TensorError> for Fault {
    fn from(e: TensorError) -> Self {
        Self::Internal(e.to_string())
    }
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Internal(why)
    }
}

/// The results of a kernel.
pub type Done = Result<Vec<Tensor>, Fault>;

impl<'a> Call<'a> {
    /// Extents of an operand.
    pub fn shape(&self, input: usize) -> &'a [usize] {
        self.inputs[input].shape()
    }

    /// Element type of an operand.
    pub fn dtype(&self, input: usize) -> DType {
        self.inputs[input].dtype()
    }

    /// Elements of an operand.
    ///
    /// # Errors
    /// If they are stored as another type.
    pub fn view<T: Element>(&self, input: usize) -> Result<Cow<'a, [T]>, Fault> {
        Ok(self.inputs[input].view()?)
    }

    /// Elements of an operand that may be absent.
    ///
    /// # Errors
    /// If they are stored as another type.
    pub fn optional<T: Element>(&self, input: usize) -> Result<Option<Cow<'a, [T]>>, Fault> {
        self.inputs.get(input).map(|t| Ok(t.view()?)).transpose()
    }

    /// Extents of a result.
    ///
    /// # Errors
    /// If they depend on the data.
    pub fn out_shape(&self, output: usize) -> Result<Vec<usize>, Fault> {
        let shape = &self.types.outputs[output].shape;
        shape.fixed().ok_or_else(|| Fault::Internal(format!("the result {shape} is unbound")))
    }
}

/// A tensor from elements.
pub(crate) fn one<T: Element>(shape: impl Into<Vec<usize>>, elements: Vec<T>) -> Done {
    Ok(vec![Tensor::from_vec(shape, elements)?])
}

/// Room for `len` elements, or a fault if memory does not hold them.
pub(crate) fn room<T>(len: usize) -> Result<Vec<T>, Fault> {
    let mut v = Vec::new();
    v.try_reserve_exact(len)
        .map_err(|_| Fault::Data(format!("{len} elements do not fit the memory")))?;
    Ok(v)
}

/// `len` elements that are all `value`.
pub(crate) fn filled<T: Clone>(len: usize, value: T) -> Result<Vec<T>, Fault> {
    let mut v = room(len)?;
    v.resize(len, value);
    Ok(v)
}

/// How an op is run here.
pub struct ReferenceKernel {
    /// The identity of the op's type.
    pub key: fn() -> TypeId,
    /// Whether operands and results of these types are served; if not, why and what to do.
    pub support: fn(&dyn DynOp, Types<'_>) -> Result<(), String>,
    /// Computes the results.
    pub run: fn(&dyn DynOp, &Call<'_>) -> Done,
}

inventory::collect!(ReferenceKernel);

/// All registered kernels, in no particular order.
pub fn registered_kernels() -> impl Iterator<Item = &'static ReferenceKernel> {
    inventory::iter::<ReferenceKernel>.into_iter()
}

/// The kernel of an op.
pub(crate) fn kernel_of(op: &dyn DynOp) -> Result<&'static ReferenceKernel, String> {
    let key = op.key();
    registered_kernels()
        .find(|k| (k.key)() == key)
        .ok_or_else(|| format!("the reference interpreter has no kernel for `{}`", op.name()))
}

/// Whether a node can be run.
pub(crate) fn support(graph: &Graph, node: &Node) -> Result<(), String> {
    let inputs: Vec<_> = node.inputs().iter().map(|v| graph.ty(*v)).collect();
    let outputs: Vec<_> = node.outputs().iter().map(|v| graph.ty(*v)).collect();
    let types = Types { inputs: &inputs, outputs: &outputs };
    let op: &dyn DynOp = &*node.op;
    (kernel_of(op)?.support)(op, types)
}

/// The op as its own type; part of [`register_kernel!`](crate::register_kernel).
#[doc(hidden)]
pub fn own<T: Op>(op: &dyn DynOp) -> Result<&T, String> {
    op.downcast_ref().ok_or_else(|| format!("`{}` got the kernel of another op", op.name()))
}

/// Registers the kernel of an op: the op's type, a function that says which operand types it serves
/// (`fn(&Op, Types) -> Result<(), String>`) and one that runs it (`fn(&Op, &Call) -> Done`).
#[macro_export]
macro_rules! register_kernel {
    ($op:ty, $support:expr, $run:expr) => {
        $crate::inventory::submit! {
            $crate::ReferenceKernel {
                key: || ::std::any::TypeId::of::<$op>(),
                support: |op, types| {
                    let support: fn(&$op, $crate::Types<'_>) -> Result<(), String> = $support;
                    support($crate::own::<$op>(op)?, types)
                },
                run: |op, call| {
                    let run: fn(&$op, &$crate::Call<'_>) -> $crate::Done = $run;
                    run($crate::own::<$op>(op)?, call)
                },
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_has_one_kernel() {
        for op in paring_ir::registered_ops() {
            let kernels = registered_kernels().filter(|k| (k.key)() == (op.key)()).count();
            assert_eq!(kernels, 1, "kernels of `{}`", op.name);
        }
    }
}
