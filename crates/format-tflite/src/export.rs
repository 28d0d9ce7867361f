//! From a graph to a file.

use crate::builtin;
use crate::flat;
use crate::schema::{self, BuiltinOptions};
use crate::sparse;
use crate::version::version;
use paring_format::FormatError;
use paring_ir::{Def, Graph, Node, NodeId, Port, Refusal, ValueId};
use paring_tensor::{Bytes, ConstData, DType, Quant, Tensor, TensorType};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

/// Why a node cannot be written.
pub(crate) type Refused = String;

/// The most bytes that the offsets of the format reach.
const LARGEST_FILE: usize = (1 << 31) - (1 << 24);

/// The file as far as it is put together.
pub(crate) struct Export<'g> {
    pub(crate) graph: &'g Graph,
    tensors: Vec<schema::Tensor>,
    buffers: Vec<Bytes>,
    operators: Vec<schema::Operator>,
    /// Codes and versions.
    codes: Vec<(i32, i32)>,
    /// The tensor of a value, and of a constant in another arrangement.
    written: HashMap<(ValueId, &'static str), i32>,
    /// Lists of integers that operators take as operands.
    lists: HashMap<Vec<i32>, i32>,
    /// Nodes that are written with the node before them.
    pub(crate) done: HashSet<NodeId>,
}

pub(crate) fn export(graph: &Graph) -> Result<Vec<u8>, FormatError> {
    let path = || PathBuf::from(format!("{}.tflite", graph.name()));
    let mut export = Export {
        graph,
        tensors: Vec::new(),
        buffers: vec![Bytes::new()],
        operators: Vec::new(),
        codes: Vec::new(),
        written: HashMap::new(),
        lists: HashMap::new(),
        done: HashSet::new(),
    };
    let mut refused = Vec::new();
    let mut ports = (Vec::new(), Vec::new());
    for port in graph.inputs() {
        match export.tensor(port.value) {
            Ok(i) => ports.0.push(i),
            Err(why) => refused.push(refusal(&port.name, "input", why)),
        }
    }
    for id in graph.topological() {
        let node = graph.node(id);
        if export.done.contains(&id) {
            continue;
        }
        let write = crate::ops::writer(node.op.key());
        let result = match write {
            Some(write) => write(&mut NodeCx { export: &mut export, node }),
            None => Err("the format has no such operator".to_owned()),
        };
        if let Err(why) = result {
            refused.push(refusal(&node.name, node.op.name(), why));
        }
    }
    for state in graph.states() {
        let kept = graph.producer(state.next).is_some_and(|n| {
            crate::ops::keeps_state(n.op.key()) && n.inputs().contains(&state.current)
        });
        let name = &graph.value(state.current).name;
        if !kept {
            let why = "only recurrent operators of the format keep a state".to_owned();
            refused.push(refusal(name, "state", why));
        } else if !starts_at_zero(&state.initial, graph.ty(state.current)) {
            refused.push(refusal(name, "state", "it does not start at zero".to_owned()));
        }
    }
    for port in graph.outputs() {
        match export.tensor(port.value) {
            Ok(i) => ports.1.push(i),
            Err(why) => refused.push(refusal(&port.name, "output", why)),
        }
    }
    let total: usize = export.buffers.iter().map(|b| b.len() + 64).sum();
    if total > LARGEST_FILE {
        refused.push(refusal(graph.name(), "graph", format!("its constants take {total} bytes")));
    }
    if !refused.is_empty() {
        return Err(FormatError::Unsupported { path: path(), refused });
    }
    Ok(export.file(ports))
}

fn refusal(node: &str, op: &str, why: String) -> Refusal {
    Refusal { node: node.to_owned(), op: op.to_owned(), why }
}

/// Whether a runtime of the format starts the state so by itself.
fn starts_at_zero(initial: &ConstData, ty: &TensorType) -> bool {
    let zero = match ty.quant.as_ref().and_then(Quant::as_per_tensor) {
        Some((_, zero)) if ty.dtype == DType::I8 => i64::from(zero),
        _ => 0,
    };
    let dense = initial.dense();
    match dense.dtype().is_float() {
        true => dense.to_f32().iter().all(|x| *x == 0.0),
        false => dense.to_i64().iter().all(|x| *x == zero),
    }
}

/// The number of an element type in the format.
pub(crate) fn type_code(dtype: DType) -> i8 {
    match dtype {
        DType::F32 => 0,
        DType::F16 => 1,
        DType::I32 => 2,
        DType::U8 => 3,
        DType::I64 => 4,
        DType::Bool => 6,
        DType::I16 => 7,
        DType::I8 => 9,
        DType::F64 => 10,
        DType::U64 => 12,
        DType::U32 => 15,
        DType::U16 => 16,
        DType::I4 => 17,
        DType::BF16 => 18,
    }
}

pub(crate) fn int(n: usize) -> Result<i32, Refused> {
    i32::try_from(n).map_err(|_| format!("the number {n} is too large for the format"))
}

fn quantization(quant: &Quant) -> Result<schema::QuantizationParameters, Refused> {
    let axis = match quant {
        Quant::PerTensor { .. } => 0,
        Quant::PerAxis { axis, .. } => int(*axis)?,
        Quant::PerBlock { .. } => return Err("it is quantized in blocks".to_owned()),
    };
    Ok(schema::QuantizationParameters {
        scale: Some(quant.scales().to_vec()),
        zero_point: Some(quant.zero_points().iter().map(|z| i64::from(*z)).collect()),
        quantized_dimension: axis,
        ..Default::default()
    })
}

/// Two elements a byte, the first in the low half.
fn pack_i4(tensor: &Tensor) -> Bytes {
    let pairs = tensor.bytes().chunks(2);
    pairs.map(|p| p[0] & 15 | p.get(1).map_or(0, |b| b << 4)).collect()
}

impl Export<'_> {
    fn push(&mut self, tensor: schema::Tensor) -> Result<i32, Refused> {
        let index = int(self.tensors.len())?;
        self.tensors.push(tensor);
        Ok(index)
    }

    fn describe(
        &self,
        name: &str,
        dtype: DType,
        shape: &[usize],
        quant: Option<&Quant>,
    ) -> Result<schema::Tensor, Refused> {
        let shape = shape.iter().map(|n| int(*n)).collect::<Result<Vec<_>, _>>()?;
        Ok(schema::Tensor {
            // Tensors of unknown rank have no extents either; this tells a scalar apart.
            has_rank: shape.is_empty(),
            shape: Some(shape),
            type_: type_code(dtype),
            name: Some(name.to_owned()),
            quantization: quant.map(quantization).transpose()?.map(Box::new),
            ..Default::default()
        })
    }

    /// The tensor of a value as it is; constants come into the file with their first use.
    pub(crate) fn tensor(&mut self, value: ValueId) -> Result<i32, Refused> {
        if let Some(done) = self.written.get(&(value, "")) {
            return Ok(*done);
        }
        let v = self.graph.value(value);
        let index = match v.def() {
            Def::Const(data) => self.constant(&v.name, data, v.ty.quant.as_ref())?,
            def => {
                let shape = v.ty.shape.fixed().ok_or_else(|| {
                    format!("`{}` of shape {} has no fixed size", v.name, v.ty.shape)
                })?;
                let mut tensor = self.describe(&v.name, v.ty.dtype, &shape, v.ty.quant.as_ref())?;
                tensor.is_variable = *def == Def::State;
                self.push(tensor)?
            }
        };
        self.written.insert((value, ""), index);
        Ok(index)
    }

    /// A constant with its contents. Sparse ones are stored so, with the operator that expands them.
    pub(crate) fn constant(
        &mut self,
        name: &str,
        data: &ConstData,
        quant: Option<&Quant>,
    ) -> Result<i32, Refused> {
        let mut tensor = self.describe(name, data.dtype(), data.shape(), quant)?;
        let writable = matches!(data.dtype(), DType::F32 | DType::F16 | DType::I8);
        let sparse = data.sparse().filter(|s| writable && s.shape().len() >= 2);
        let bytes = match sparse {
            Some(s) => {
                let (levels, values) = sparse::write(s)?;
                tensor.sparsity = Some(Box::new(levels));
                values
            }
            None => {
                let dense = data.dense();
                if dense.dtype() == DType::I4 { pack_i4(&dense) } else { dense.bytes().clone() }
            }
        };
        tensor.buffer = self.buffer(bytes)?;
        let stored = self.push(tensor)?;
        if sparse.is_none() {
            return Ok(stored);
        }
        let dense = self.describe(&format!("{name}/dense"), data.dtype(), data.shape(), quant)?;
        let dense = self.push(dense)?;
        self.operator("DENSIFY", None, vec![stored], vec![dense])?;
        Ok(dense)
    }

    /// The variable tensor of a state, in this shape.
    pub(crate) fn state(&mut self, value: ValueId, shape: &[usize]) -> Result<i32, Refused> {
        let v = self.graph.value(value);
        if *v.def() != Def::State {
            return Err(format!(
                "`{}` is computed; operators of the format keep their state",
                v.name
            ));
        }
        if let Some(done) = self.written.get(&(value, "")) {
            return Ok(*done);
        }
        let mut tensor = self.describe(&v.name, v.ty.dtype, shape, v.ty.quant.as_ref())?;
        tensor.is_variable = true;
        let index = self.push(tensor)?;
        self.written.insert((value, ""), index);
        Ok(index)
    }

    /// Lists tensors that belong to the operator added last alone.
    pub(crate) fn intermediates(&mut self, tensors: Vec<i32>) {
        if let Some(operator) = self.operators.last_mut() {
            operator.intermediates = Some(tensors);
        }
    }

    fn buffer(&mut self, bytes: Bytes) -> Result<u32, Refused> {
        let index = u32::try_from(self.buffers.len()).map_err(|_| "too many constants")?;
        self.buffers.push(bytes);
        Ok(index)
    }

    /// Adds an operator by its published name.
    pub(crate) fn operator(
        &mut self,
        name: &str,
        options: Option<BuiltinOptions>,
        inputs: Vec<i32>,
        outputs: Vec<i32>,
    ) -> Result<(), Refused> {
        let code = builtin::code_of(name).ok_or_else(|| format!("no operator is named {name}"))?;
        let tensor = |i: &i32| usize::try_from(*i).ok().and_then(|i| self.tensors.get(i));
        let operands: Vec<_> = inputs.iter().map(tensor).collect();
        let results: Vec<_> = outputs.iter().filter_map(tensor).collect();
        let code = (code, version(name, options.as_ref(), &operands, &results));
        let found = self.codes.iter().position(|c| *c == code);
        let index = found.unwrap_or_else(|| {
            self.codes.push(code);
            self.codes.len() - 1
        });
        self.operators.push(schema::Operator {
            opcode_index: index as u32,
            inputs: Some(inputs),
            outputs: Some(outputs),
            builtin_options: options,
            ..Default::default()
        });
        Ok(())
    }

    /// The finished file.
    fn file(self, (inputs, outputs): (Vec<i32>, Vec<i32>)) -> Vec<u8> {
        let codes = self.codes.iter().map(|(code, version)| schema::OperatorCode {
            // Old readers look at the narrow field, which holds 127 for codes that do not fit.
            deprecated_builtin_code: i8::try_from(*code).unwrap_or(i8::MAX),
            builtin_code: *code,
            version: *version,
            ..Default::default()
        });
        let signature = schema::SignatureDef {
            inputs: Some(signature(self.graph.inputs(), &inputs)),
            outputs: Some(signature(self.graph.outputs(), &outputs)),
            signature_key: Some("serving_default".to_owned()),
            ..Default::default()
        };
        let subgraph = schema::SubGraph {
            tensors: Some(self.tensors),
            inputs: Some(inputs),
            outputs: Some(outputs),
            operators: Some(self.operators),
            name: Some("main".to_owned()),
        };
        let buffers = self.buffers.into_iter();
        let model = schema::Model {
            version: 3,
            operator_codes: Some(codes.collect()),
            subgraphs: Some(vec![subgraph]),
            description: Some("written by Paring".to_owned()),
            buffers: Some(
                buffers.map(|data| schema::Buffer { data, ..Default::default() }).collect(),
            ),
            signature_defs: Some(vec![signature]),
        };
        flat::write(&model, *b"TFL3")
    }
}

/// By which names a caller may give inputs and take outputs: those of the ports, numbered where several
/// have one name.
fn signature(ports: &[Port], tensors: &[i32]) -> Vec<schema::TensorMap> {
    let mut names = HashSet::new();
    let named = |(i, (port, tensor)): (usize, (&Port, &i32))| {
        let name = match names.insert(port.name.clone()) {
            true => port.name.clone(),
            false => format!("{}:{i}", port.name),
        };
        schema::TensorMap {
            name: Some(name),
            tensor_index: u32::try_from(*tensor).unwrap_or_default(),
        }
    };
    ports.iter().zip(tensors).enumerate().map(named).collect()
}

/// What the writer of one node works with.
pub(crate) struct NodeCx<'e, 'g> {
    pub(crate) export: &'e mut Export<'g>,
    pub(crate) node: &'g Node,
}

impl<'g> NodeCx<'_, 'g> {
    /// The op as its own type.
    pub(crate) fn op<T: paring_ir::Op>(&self) -> Result<&'g T, Refused> {
        self.node.op_as().ok_or_else(|| "is of another type than its writer".to_owned())
    }

    pub(crate) fn ty(&self, value: ValueId) -> &'g TensorType {
        self.export.graph.ty(value)
    }

    /// Operand `k`.
    pub(crate) fn value(&self, k: usize) -> Result<ValueId, Refused> {
        self.node.inputs().get(k).copied().ok_or_else(|| format!("has no operand {k}"))
    }

    pub(crate) fn input_type(&self, k: usize) -> Result<&'g TensorType, Refused> {
        Ok(self.ty(self.value(k)?))
    }

    pub(crate) fn output_type(&self, k: usize) -> Result<&'g TensorType, Refused> {
        let value = self.node.outputs().get(k).ok_or_else(|| format!("has no output {k}"))?;
        Ok(self.ty(*value))
    }

    /// Extents of a type, which have to be numbers.
    pub(crate) fn shape(&self, ty: &TensorType) -> Result<Vec<usize>, Refused> {
        ty.shape
            .fixed()
            .ok_or_else(|| format!("{} has no fixed size; bind its dimensions", ty.shape))
    }

    /// The tensor of operand `k`.
    pub(crate) fn input(&mut self, k: usize) -> Result<i32, Refused> {
        let value = self.value(k)?;
        self.export.tensor(value)
    }

    /// The tensor of operand `k`, -1 if it is left out.
    pub(crate) fn optional(&mut self, k: usize) -> Result<i32, Refused> {
        if k < self.node.inputs().len() { self.input(k) } else { Ok(-1) }
    }

    /// The tensors of all operands.
    pub(crate) fn inputs(&mut self) -> Result<Vec<i32>, Refused> {
        (0..self.node.inputs().len()).map(|k| self.input(k)).collect()
    }

    /// The tensor of result `k`.
    pub(crate) fn output(&mut self, k: usize) -> Result<i32, Refused> {
        let value = self.node.outputs().get(k).copied();
        self.export.tensor(value.ok_or_else(|| format!("has no output {k}"))?)
    }

    /// A tensor between two operators that the node becomes.
    pub(crate) fn between(
        &mut self,
        suffix: &str,
        dtype: DType,
        shape: &[usize],
        quant: Option<&Quant>,
    ) -> Result<i32, Refused> {
        let name = format!("{}/{suffix}", self.node.name);
        let tensor = self.export.describe(&name, dtype, shape, quant)?;
        self.export.push(tensor)
    }

    /// A constant list of integers.
    pub(crate) fn ints(&mut self, numbers: &[i32]) -> Result<i32, Refused> {
        if let Some(done) = self.export.lists.get(numbers) {
            return Ok(*done);
        }
        let tensor = Tensor::from_vec([numbers.len()], numbers.to_vec());
        let tensor = tensor.map_err(|e| e.to_string())?;
        let name = format!("{}/parameters", self.node.name);
        let index = self.export.constant(&name, &tensor.into(), None)?;
        self.export.lists.insert(numbers.to_vec(), index);
        Ok(index)
    }

    /// As [`ints`](Self::ints).
    pub(crate) fn sizes(&mut self, numbers: &[usize]) -> Result<i32, Refused> {
        let numbers = numbers.iter().map(|n| int(*n)).collect::<Result<Vec<_>, _>>()?;
        self.ints(&numbers)
    }

    /// A constant integer without axes.
    pub(crate) fn scalar(&mut self, number: i32) -> Result<i32, Refused> {
        let name = format!("{}/parameter", self.node.name);
        self.export.constant(&name, &Tensor::scalar(number).into(), None)
    }

    /// A constant of the node's own.
    pub(crate) fn constant(
        &mut self,
        suffix: &str,
        data: &ConstData,
        quant: Option<&Quant>,
    ) -> Result<i32, Refused> {
        let name = format!("{}/{suffix}", self.node.name);
        self.export.constant(&name, data, quant)
    }

    /// Operand `k` with its axes in another order and then in another shape: a constant is stored so,
    /// and a dequantized constant before its dequantization.
    pub(crate) fn reordered(
        &mut self,
        k: usize,
        perm: &[usize],
        shape: &[usize],
        key: &'static str,
    ) -> Result<i32, Refused> {
        let value = self.value(k)?;
        self.reordered_value(value, perm, shape, key)
    }

    fn reordered_value(
        &mut self,
        value: ValueId,
        perm: &[usize],
        shape: &[usize],
        key: &'static str,
    ) -> Result<i32, Refused> {
        if let Some(done) = self.export.written.get(&(value, key)) {
            return Ok(*done);
        }
        let graph = self.export.graph;
        let v = graph.value(value);
        let dequantized = graph
            .producer(value)
            .filter(|n| n.op_as::<paring_ir::ops::Dequantize>().is_some())
            .and_then(|n| n.inputs().first().copied());
        let index = if let Some(data) = v.constant() {
            let dense = data.dense().transpose(perm).and_then(|t| t.reshape(shape));
            let dense = dense.map_err(|e| e.to_string())?;
            let data = match data {
                ConstData::Sparse(s) => {
                    let block = vec![1; shape.len()];
                    paring_tensor::Sparse::from_dense(&dense, &block, s.fill())
                        .map(ConstData::Sparse)
                        .map_err(|e| e.to_string())?
                }
                _ => dense.into(),
            };
            let quant = v.ty.quant.clone().map(|q| match q {
                Quant::PerAxis { axis, scales, zero_points } => {
                    let axis = perm.iter().position(|p| *p == axis).unwrap_or(axis);
                    Quant::PerAxis { axis, scales, zero_points }
                }
                other => other,
            });
            self.export.constant(&v.name, &data, quant.as_ref())?
        } else if let Some(stored) = dequantized {
            let stored = self.reordered_value(stored, perm, shape, key)?;
            let dense = self.export.describe(&v.name, v.ty.dtype, shape, None)?;
            let dense = self.export.push(dense)?;
            self.export.operator("DEQUANTIZE", None, vec![stored], vec![dense])?;
            dense
        } else {
            return Err("its weights are not constant".to_owned());
        };
        self.export.written.insert((value, key), index);
        Ok(index)
    }

    /// Adds an operator.
    pub(crate) fn operator(
        &mut self,
        name: &str,
        options: Option<BuiltinOptions>,
        inputs: Vec<i32>,
        outputs: Vec<i32>,
    ) -> Result<(), Refused> {
        self.export.operator(name, options, inputs, outputs)
    }

    /// Adds the operator that computes the node's first result from all its operands.
    pub(crate) fn simple(
        &mut self,
        name: &str,
        options: Option<BuiltinOptions>,
    ) -> Result<(), Refused> {
        let (inputs, output) = (self.inputs()?, self.output(0)?);
        self.operator(name, options, inputs, vec![output])
    }

    /// The constant of operand `k`.
    pub(crate) fn known(&self, k: usize) -> Result<&'g ConstData, Refused> {
        let data = self.export.graph.constant(self.value(k)?);
        data.ok_or_else(|| format!("operand {k} is not constant"))
    }

    /// Makes a result the tensor of an operand that the operator changes in place.
    pub(crate) fn in_place(&mut self, k: usize, operand: usize) -> Result<(), Refused> {
        let tensor = self.input(operand)?;
        if let Some(value) = self.node.outputs().get(k) {
            self.export.written.insert((*value, ""), tensor);
        }
        Ok(())
    }
}
