//! Writes a graph as an ONNX model of operator set 21.
//!
//! A quantized value becomes its stored integers with `QuantizeLinear` and `DequantizeLinear` around
//! operators on real numbers (the QDQ form), per tensor, per channel or per block, in 4, 8 or 16 bits.
//! Images are `NHWC` in the graph and `NCHW` in the operators of the file: each value is kept in the
//! layouts that something reads, so that a chain of convolutions has no transposes inside.

mod image;
mod math;
mod recurrent;
mod shape;

use crate::cx::permuted;
use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto, attribute_type,
};
use crate::tensor::onnx_type;
use paring_format::{FormatError, WriteOptions};
use paring_ir::ops::Activation;
use paring_ir::{Graph, Node, Refusal, Value, ValueId};
use paring_tensor::{DType, Dim, Quant, Tensor, TensorError};
use prost::Message;
use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// The operator set of written files.
const OPSET: i64 = 21;
/// The IR version that goes with it.
const IR_VERSION: i64 = 10;

/// Writes a graph as the contents of an ONNX file.
///
/// # Errors
/// All nodes that ONNX has no operator for.
pub fn write(graph: &Graph, _: &WriteOptions) -> Result<Vec<u8>, FormatError> {
    let path = PathBuf::from(format!("{}.onnx", graph.name()));
    let verified =
        graph.verified().map_err(|source| FormatError::Faulty { path: path.clone(), source })?;
    let mut w = Writer::new(graph);
    let mut refused: Vec<Refusal> = graph
        .states()
        .iter()
        .map(|s| Refusal {
            node: graph.value(s.current).name.clone(),
            op: "state".to_owned(),
            why: "ONNX has no values that live from one run to the next".to_owned(),
        })
        .collect();
    w.inputs();
    for &id in verified.order() {
        let node = graph.node(id);
        if let Err(Refused(why)) = w.node(node) {
            let op = node.op.name().to_owned();
            refused.push(Refusal { node: node.name.clone(), op, why });
            // What it would have computed is there for the rest, so that all refusals are found.
            for v in node.outputs() {
                let name = w.fresh(&graph.value(*v).name);
                w.names.insert((*v, Layout::Own), name);
            }
        }
    }
    if refused.is_empty()
        && let Err(Refused(why)) = w.outputs()
    {
        refused.push(Refusal { node: graph.name().to_owned(), op: "output".to_owned(), why });
    }
    if !refused.is_empty() {
        return Err(FormatError::Unsupported { path, refused });
    }
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "paring".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(w.proto),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
        functions: Vec::new(),
    };
    Ok(model.encode_to_vec())
}

/// Why a node is not written.
pub(crate) struct Refused(pub(crate) String);

impl From<TensorError> for Refused {
    fn from(e: TensorError) -> Self {
        Self(e.to_string())
    }
}

type Written = Result<(), Refused>;

/// In which order of axes a value is in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Layout {
    /// The graph's.
    Own,
    /// Channels of an image before height and width.
    Planar,
}

/// From the graph's order to planar, and back.
const TO_PLANAR: [usize; 4] = [0, 3, 1, 2];
const FROM_PLANAR: [usize; 4] = [0, 2, 3, 1];

/// The file under construction.
pub(crate) struct Writer<'g> {
    graph: &'g Graph,
    proto: GraphProto,
    taken: HashSet<String>,
    /// Stored numbers of a value, in a layout.
    names: HashMap<(ValueId, Layout), String>,
    /// Real numbers of a quantized value, in a layout.
    reals: HashMap<(ValueId, Layout), String>,
}

type WriteNode = fn(&mut Writer<'_>, &Node) -> Written;

/// An op's type and how it is written.
type Entry = (fn() -> TypeId, WriteNode);

impl<'g> Writer<'g> {
    fn new(graph: &'g Graph) -> Self {
        let mut taken: HashSet<String> = HashSet::new();
        taken.extend(graph.inputs().iter().chain(graph.outputs()).map(|p| p.name.clone()));
        Self {
            graph,
            proto: GraphProto { name: graph.name().to_owned(), ..GraphProto::default() },
            taken,
            names: HashMap::new(),
            reals: HashMap::new(),
        }
    }

    fn node(&mut self, node: &Node) -> Written {
        let key = node.op.key();
        let families: [&[Entry]; 4] =
            [image::WRITERS, math::WRITERS, shape::WRITERS, recurrent::WRITERS];
        let found = families.iter().flat_map(|f| f.iter()).find(|(k, _)| k() == key);
        match found {
            Some((_, write)) => write(self, node),
            None => Err(Refused("ONNX has no operator for it".to_owned())),
        }
    }

    /// A name that nothing in the file has yet.
    fn fresh(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        let mut i = 0;
        while !self.taken.insert(unique.clone()) {
            i += 1;
            unique = format!("{name}.{i}");
        }
        unique
    }

    fn value(&self, id: ValueId) -> &'g Value {
        self.graph.value(id)
    }

    /// The extents of a value.
    fn extents(&self, id: ValueId) -> Result<Vec<usize>, Refused> {
        let ty = self.graph.ty(id);
        ty.shape.fixed().ok_or_else(|| Refused(format!("shape {} has symbols", ty.shape)))
    }

    fn rank(&self, id: ValueId) -> usize {
        self.graph.ty(id).shape.rank()
    }

    fn inputs(&mut self) {
        for port in self.graph.inputs() {
            let layout = match port.external.as_deref() {
                Some(perm) if perm == TO_PLANAR => Layout::Planar,
                _ => Layout::Own,
            };
            let perm = port.external.clone();
            self.proto.input.push(self.port(&port.name, port.value, perm.as_deref()));
            let name = match (&perm, layout) {
                (Some(perm), Layout::Own) => {
                    // The file's axis `i` is the graph's axis `perm[i]`.
                    let mut back = vec![0; perm.len()];
                    for (i, p) in perm.iter().enumerate() {
                        back[*p] = i;
                    }
                    self.transpose(&port.name, &back)
                }
                _ => port.name.clone(),
            };
            self.names.insert((port.value, layout), name);
        }
    }

    fn outputs(&mut self) -> Written {
        let mut ports = Vec::new();
        for port in self.graph.outputs() {
            self.proto.output.push(self.port(&port.name, port.value, port.external.as_deref()));
            let name = match port.external.as_deref() {
                None => self.stored(port.value, Layout::Own)?,
                Some(perm) if perm == TO_PLANAR => self.stored(port.value, Layout::Planar)?,
                Some(perm) => {
                    let name = self.stored(port.value, Layout::Own)?;
                    self.transpose(&name, perm)
                }
            };
            ports.push((name, port.name.clone()));
        }
        self.rename(ports);
        Ok(())
    }

    /// Gives tensors the names that the graph has for them: outputs first, then every value, in the
    /// layout that is computed first.
    fn rename(&mut self, ports: Vec<(String, String)>) {
        let made: HashMap<String, usize> = self
            .proto
            .node
            .iter()
            .enumerate()
            .flat_map(|(i, n)| n.output.iter().map(move |o| (o.clone(), i)))
            .collect();
        let mut new: HashMap<String, String> = HashMap::new();
        for (name, port) in ports {
            // An input or a constant, or what another output is already, is handed on.
            if made.contains_key(&name) && !new.contains_key(&name) {
                new.insert(name, port);
            } else {
                self.push("Identity", &[&name], &[&port], Vec::new());
            }
        }
        let mut values: Vec<_> = self.names.iter().collect();
        values.sort_by_key(|((id, _), name)| (*id, made.get(*name).copied()));
        for ((id, _), name) in values {
            let own = &self.graph.value(*id).name;
            let free = made.contains_key(name) && !new.contains_key(name);
            if free && name != own && self.taken.insert(own.clone()) {
                new.insert(name.clone(), own.clone());
            }
        }
        let nodes = &mut self.proto.node;
        let mut used: HashSet<String> =
            nodes.iter().map(|n| n.name.clone()).filter(|n| !n.is_empty()).collect();
        for node in nodes {
            for name in node.input.iter_mut().chain(&mut node.output) {
                if let Some(new) = new.get(name) {
                    name.clone_from(new);
                }
            }
            if !node.name.is_empty() {
                continue;
            }
            // Runtimes refuse two nodes of one name.
            let output = node.output.first().cloned().unwrap_or_default();
            let mut name = output.clone();
            let mut i = 0;
            while !used.insert(name.clone()) {
                name = match i {
                    0 => format!("{output}/{}", node.op_type),
                    _ => format!("{output}/{}.{i}", node.op_type),
                };
                i += 1;
            }
            node.name = name;
        }
    }

    fn port(&self, name: &str, value: ValueId, external: Option<&[usize]>) -> ValueInfoProto {
        let ty = self.graph.ty(value);
        let dims = ty.shape.dims();
        let order: Vec<usize> = match external {
            Some(perm) => perm.to_vec(),
            None => (0..dims.len()).collect(),
        };
        let dim = order
            .iter()
            .map(|&i| match &dims[i] {
                Dim::Fixed(n) => DimensionProto { dim_value: Some(*n as i64), dim_param: None },
                Dim::Symbol(s) => {
                    DimensionProto { dim_value: None, dim_param: Some(s.to_string()) }
                }
            })
            .collect();
        let tensor = TensorTypeProto {
            elem_type: onnx_type(ty.dtype),
            shape: Some(TensorShapeProto { dim }),
        };
        ValueInfoProto {
            name: name.to_owned(),
            r#type: Some(Box::new(TypeProto { tensor_type: Some(tensor) })),
        }
    }

    /// The name of the stored numbers of a value.
    fn stored(&mut self, id: ValueId, layout: Layout) -> Result<String, Refused> {
        if let Some(name) = self.names.get(&(id, layout)) {
            return Ok(name.clone());
        }
        let value = self.value(id);
        let name = if let Some(data) = value.constant() {
            let tensor = match layout {
                Layout::Own => data.dense(),
                Layout::Planar => permuted_or(&data.dense(), &TO_PLANAR)?,
            };
            self.constant(&value.name, &tensor)
        } else {
            let (from, perm) = match layout {
                Layout::Own => (Layout::Planar, FROM_PLANAR),
                Layout::Planar => (Layout::Own, TO_PLANAR),
            };
            let Some(name) = self.names.get(&(id, from)).cloned() else {
                return Err(Refused(format!("`{}` is not there", value.name)));
            };
            self.transpose(&name, &perm)
        };
        self.names.insert((id, layout), name.clone());
        Ok(name)
    }

    /// The name of the real numbers of a value.
    fn real(&mut self, id: ValueId, layout: Layout) -> Result<String, Refused> {
        let ty = self.graph.ty(id);
        let Some(quant) = &ty.quant else { return self.stored(id, layout) };
        if let Some(name) = self.reals.get(&(id, layout)) {
            return Ok(name.clone());
        }
        // The format dequantizes no integers of 64 bits.
        if ty.dtype == DType::I64
            && let Some(data) = self.value(id).constant()
        {
            let real = quant.dequantize(&data.dense())?;
            let real = match layout {
                Layout::Own => real,
                Layout::Planar => permuted_or(&real, &TO_PLANAR)?,
            };
            let name = self.constant(&format!("{}.real", self.value(id).name), &real);
            self.reals.insert((id, layout), name.clone());
            return Ok(name);
        }
        let stored = self.stored(id, layout)?;
        let axis = |axis: usize| match layout {
            Layout::Own => axis,
            Layout::Planar => TO_PLANAR.iter().position(|p| *p == axis).unwrap_or(axis),
        };
        let shape = match layout {
            Layout::Own => ty.shape.fixed().unwrap_or_default(),
            Layout::Planar => Vec::new(),
        };
        let name = self.dequantize(&stored, quant, ty.dtype, &shape, axis)?;
        self.reals.insert((id, layout), name.clone());
        Ok(name)
    }

    /// Real numbers in the graph's layout.
    fn operand(&mut self, node: &Node, i: usize) -> Result<String, Refused> {
        let id = *node.inputs().get(i).ok_or_else(|| Refused(format!("operand {i} is missing")))?;
        self.real(id, Layout::Own)
    }

    /// Adds what makes real numbers of stored ones.
    fn dequantize(
        &mut self,
        stored: &str,
        quant: &Quant,
        dtype: DType,
        shape: &[usize],
        axis: impl Fn(usize) -> usize,
    ) -> Result<String, Refused> {
        let (scale, zero, attributes) = self.parameters(stored, quant, dtype, shape, axis)?;
        let name = self.fresh(&format!("{stored}.real"));
        self.push("DequantizeLinear", &[stored, &scale, &zero], &[&name], attributes);
        Ok(name)
    }

    /// Scale, zero point and attributes of a quantization. `extents` is the value's shape, where that is in the
    /// graph's layout; blocks are written there only.
    fn parameters(
        &mut self,
        name: &str,
        quant: &Quant,
        dtype: DType,
        extents: &[usize],
        axis: impl Fn(usize) -> usize,
    ) -> Result<(String, String, Vec<AttributeProto>), Refused> {
        let scales = quant.scales().to_vec();
        let zeros = quant.zero_points().to_vec();
        let (shape, attributes): (Vec<usize>, _) = match quant {
            Quant::PerTensor { .. } => (Vec::new(), Vec::new()),
            Quant::PerAxis { axis: a, .. } => {
                (vec![scales.len()], vec![int("axis", axis(*a) as i64)])
            }
            Quant::PerBlock { axis, block, .. } => {
                let mut shape = extents.to_vec();
                let Some(extent) = shape.get_mut(*axis) else {
                    return Err(Refused(format!("`{name}` is quantized in blocks")));
                };
                *extent = extent.div_ceil(*block);
                let attributes = vec![int("axis", *axis as i64), int("block_size", *block as i64)];
                (shape, attributes)
            }
        };
        let scale = Tensor::from_vec(shape.clone(), scales)?;
        let zero = Tensor::from_vec(shape, zeros)?.cast(dtype);
        let scale = self.constant(&format!("{name}.scale"), &scale);
        let zero = self.constant(&format!("{name}.zero_point"), &zero);
        Ok((scale, zero, attributes))
    }

    /// States that a value's real numbers have this name in the file: quantizes them if the value is
    /// quantized.
    fn define(&mut self, id: ValueId, layout: Layout, real: &str) -> Written {
        let ty = self.graph.ty(id);
        let name = match &ty.quant {
            None => real.to_owned(),
            Some(quant) => {
                let axis = |axis: usize| match layout {
                    Layout::Own => axis,
                    Layout::Planar => TO_PLANAR.iter().position(|p| *p == axis).unwrap_or(axis),
                };
                let base = self.value(id).name.clone();
                let (scale, zero, attributes) =
                    self.parameters(&base, quant, ty.dtype, &[], axis)?;
                let name = self.fresh(&base);
                self.push("QuantizeLinear", &[real, &scale, &zero], &[&name], attributes);
                name
            }
        };
        self.names.insert((id, layout), name);
        Ok(())
    }

    /// Adds an operator with one output and gives that output's name.
    fn op(&mut self, base: &str, op: &str, inputs: &[&str], a: Vec<AttributeProto>) -> String {
        let name = self.fresh(base);
        self.push(op, inputs, &[&name], a);
        name
    }

    fn push(&mut self, op: &str, inputs: &[&str], outputs: &[&str], a: Vec<AttributeProto>) {
        let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        self.proto.node.push(NodeProto {
            input: own(inputs),
            output: own(outputs),
            // After its first output, once that has its final name.
            name: String::new(),
            op_type: op.to_owned(),
            attribute: a,
            domain: String::new(),
            overload: String::new(),
        });
    }

    /// Names the operator added last after a node of the graph.
    fn name_last(&mut self, node: &Node) {
        if let Some(last) = self.proto.node.last_mut() {
            last.name.clone_from(&node.name);
        }
    }

    fn transpose(&mut self, name: &str, perm: &[usize]) -> String {
        let perm = perm.iter().map(|&p| p as i64).collect();
        self.op(&format!("{name}.transpose"), "Transpose", &[name], vec![ints("perm", perm)])
    }

    /// Adds a constant.
    fn constant(&mut self, base: &str, tensor: &Tensor) -> String {
        let name = self.fresh(base);
        let raw = if tensor.dtype() == DType::I4 {
            let low = |b: u8| b & 15;
            tensor
                .bytes()
                .chunks(2)
                .map(|p| low(p[0]) | (p.get(1).map_or(0, |b| low(*b)) << 4))
                .collect()
        } else {
            tensor.bytes().clone()
        };
        self.proto.initializer.push(TensorProto {
            dims: tensor.shape().iter().map(|&n| n as i64).collect(),
            data_type: onnx_type(tensor.dtype()),
            name: name.clone(),
            raw_data: Some(raw),
            external_data: Vec::<StringStringEntryProto>::new(),
            ..TensorProto::default()
        });
        name
    }

    /// Adds a list of numbers as a constant.
    fn numbers(&mut self, base: &str, list: &[i64]) -> Result<String, Refused> {
        let tensor = Tensor::from_vec([list.len()], list.to_vec())?;
        Ok(self.constant(base, &tensor))
    }

    /// Adds a scalar constant of an element type.
    fn scalar(&mut self, base: &str, x: f64, dtype: DType) -> String {
        self.constant(base, &Tensor::scalar(x).cast(dtype))
    }

    /// Adds a clamp.
    fn clamp(&mut self, name: &str, activation: Activation, dtype: DType) -> String {
        let (low, high) = activation.bounds();
        match activation {
            Activation::None => name.to_owned(),
            Activation::Relu => self.op(&format!("{name}.relu"), "Relu", &[name], Vec::new()),
            _ => {
                let low = self.scalar("min", f64::from(low), dtype);
                let high = self.scalar("max", f64::from(high), dtype);
                self.op(&format!("{name}.clip"), "Clip", &[name, &low, &high], Vec::new())
            }
        }
    }

    /// The element type that a value has in arithmetic.
    fn real_dtype(&self, id: ValueId) -> DType {
        let ty = self.graph.ty(id);
        if ty.quant.is_some() { DType::F32 } else { ty.dtype }
    }

    /// The layout in which all operands and results of an elementwise node can stay: planar if the
    /// first operand is there only so and all have its rank.
    fn common(&self, node: &Node) -> Layout {
        let Some(&first) = node.inputs().first() else { return Layout::Own };
        let all = node.inputs().iter().chain(node.outputs());
        let images = all.clone().all(|v| self.rank(*v) == 4);
        let planar = node.inputs().iter().any(|v| {
            self.names.contains_key(&(*v, Layout::Planar))
                && !self.names.contains_key(&(*v, Layout::Own))
        });
        if images && planar && self.rank(first) == 4 { Layout::Planar } else { Layout::Own }
    }
}

fn permuted_or(tensor: &Tensor, perm: &[usize]) -> Result<Tensor, Refused> {
    permuted(tensor, perm).map_err(|_| Refused(format!("{tensor:?} is no image")))
}

fn attribute(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), r#type, ..AttributeProto::default() }
}

fn int(name: &str, i: i64) -> AttributeProto {
    AttributeProto { i: Some(i), ..attribute(name, attribute_type::INT) }
}

fn float(name: &str, f: f32) -> AttributeProto {
    AttributeProto { f: Some(f), ..attribute(name, attribute_type::FLOAT) }
}

fn ints(name: &str, list: Vec<i64>) -> AttributeProto {
    AttributeProto { ints: list, ..attribute(name, attribute_type::INTS) }
}

fn text(name: &str, s: &str) -> AttributeProto {
    let s = Some(bytes::Bytes::copy_from_slice(s.as_bytes()));
    AttributeProto { s, ..attribute(name, attribute_type::STRING) }
}

/// Makes the table of a family's writers: `Op => function of the writer, the op and the node`.
macro_rules! writers {
    ($($op:ty => $f:expr),* $(,)?) => {
        pub(super) const WRITERS: &[super::Entry] = &[
            $((
                || std::any::TypeId::of::<$op>(),
                |w, node| match node.op_as::<$op>() {
                    Some(op) => $f(w, op, node),
                    None => Ok(()),
                },
            ),)*
        ];
    };
}
use writers;
