//! From a file's main subgraph to a graph.

use crate::budget::Budget;
use crate::builtin;
use crate::error::{ReadError, Result};
use crate::flat::{Damaged, Table, Vector};
use crate::model::{self, TensorInfo};
use crate::ops;
use crate::schema::{ModelRef, OperatorCodeRef, OperatorRef, SubGraphRef};
use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::{Def, Graph, Refusal, ValueId};
use paring_tensor::{ConstData, Tensor, TensorType};
use std::collections::HashMap;

/// A tensor that keeps its contents between runs.
struct Variable {
    current: ValueId,
    next: ValueId,
    initial: Tensor,
}

/// The graph as far as it is built.
pub(crate) struct Import<'a> {
    pub(crate) graph: Graph,
    pub(crate) tensors: Vec<TensorInfo<'a>>,
    pub(crate) budget: Budget,
    options: &'a ReadOptions<'a>,
    /// The graph's value of each tensor, once there is one.
    values: Vec<Option<ValueId>>,
    /// Constants that are stored rearranged, by tensor and arrangement.
    pub(crate) rearranged: HashMap<(ValueId, &'static str), ValueId>,
    /// Values that take over the names of those that they stand for, should nothing need these any more.
    pub(crate) heirs: Vec<(ValueId, String)>,
    variables: HashMap<usize, Variable>,
    /// Names given, with how often each was asked for.
    names: HashMap<String, u32>,
    folded: HashMap<ValueId, Tensor>,
    /// Whether an operator reads the tensor.
    read: Vec<bool>,
}

/// An operator as its file tells it.
struct Operator<'a> {
    table: OperatorRef<'a>,
    code: i32,
    custom: Option<&'a str>,
}

impl Operator<'_> {
    /// The name for messages.
    fn name(&self) -> String {
        match self.custom {
            Some(name) => format!("CUSTOM {name:?}"),
            None => builtin::name(self.code),
        }
    }
}

pub(crate) fn import(source: &Source, options: &ReadOptions<'_>) -> Result<Graph, FormatError> {
    let fail = |place: &str, error: ReadError| to_format(source, place.to_owned(), error);
    let budget = Budget::for_file(source.bytes.len());
    let model =
        Table::root(&source.bytes).map(ModelRef).map_err(|e| fail("the header", e.into()))?;
    let main = main_subgraph(&model).map_err(|e| fail("the model", e))?;
    let place = "subgraph 0";
    let mut budget = budget;
    let tensors =
        model::tensors(&model, &main, &source.bytes, &mut budget).map_err(|e| fail(place, e))?;
    let name = source.path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into());
    let count = tensors.len();
    let mut import = Import {
        graph: Graph::new(name),
        tensors,
        budget,
        options,
        values: vec![None; count],
        rearranged: HashMap::new(),
        heirs: Vec::new(),
        variables: HashMap::new(),
        names: HashMap::new(),
        folded: HashMap::new(),
        read: vec![false; count],
    };
    import.inputs(&main).map_err(|e| fail(place, e))?;
    let refused = import.operators(source, &model, &main)?;
    if !refused.is_empty() {
        return Err(FormatError::Unsupported { path: source.path.clone(), refused });
    }
    import.outputs(&main).map_err(|e| fail(place, e))?;
    Ok(import.finish())
}

/// Adds the file and the place to an error.
fn to_format(source: &Source, place: String, error: ReadError) -> FormatError {
    match error {
        ReadError::Malformed { part, why } => {
            let place = part.map_or_else(|| place.clone(), |part| format!("{place}, {part}"));
            source.malformed(place, why)
        }
        ReadError::Unsupported(why) => FormatError::Unsupported {
            path: source.path.clone(),
            refused: vec![Refusal { node: place, op: "model".to_owned(), why }],
        },
        ReadError::Graph(error) => FormatError::Graph { path: source.path.clone(), source: error },
    }
}

fn main_subgraph<'a>(model: &ModelRef<'a>) -> Result<SubGraphRef<'a>> {
    let version = model.version()?;
    if version != 3 {
        return Err(ReadError::malformed(format!(
            "has version {version} of the format; version 3 is the one that is read"
        )));
    }
    let subgraphs = model.subgraphs()?.filter(|s| !s.is_empty());
    let first = subgraphs.and_then(|s| s.get(0));
    Ok(first.ok_or_else(|| ReadError::malformed("has no subgraph"))??)
}

fn operator<'a>(
    table: OperatorRef<'a>,
    codes: Option<Vector<'a, OperatorCodeRef<'a>>>,
) -> Result<Operator<'a>> {
    let index = table.opcode_index()?;
    let code = codes
        .and_then(|c| c.get(index as usize))
        .ok_or_else(|| ReadError::malformed(format!("operator code {index} does not exist")))??;
    let number = builtin::code(code.deprecated_builtin_code()?, code.builtin_code()?);
    let custom = (number == builtin::CUSTOM)
        .then(|| code.custom_code().ok().flatten().unwrap_or("without a name"));
    Ok(Operator { table, code: number, custom })
}

impl<'a> Import<'a> {
    /// The checked index of a tensor.
    fn index(&self, index: i32) -> Result<usize> {
        usize::try_from(index).ok().filter(|i| *i < self.tensors.len()).ok_or_else(|| {
            let count = self.tensors.len();
            ReadError::malformed(format!("tensor {index} does not exist; there are {count}"))
        })
    }

    /// A name that no value and no node has, close to `name`.
    pub(crate) fn fresh(&mut self, name: &str) -> Result<String> {
        self.budget.take(name.len().saturating_add(64))?;
        let mut name = name.to_owned();
        loop {
            let Some(count) = self.names.get_mut(&name) else {
                self.names.insert(name.clone(), 0);
                return Ok(name);
            };
            *count += 1;
            name = format!("{name}.{count}");
        }
    }

    fn inputs(&mut self, main: &SubGraphRef<'a>) -> Result<()> {
        let indices = model::numbers(&mut self.budget, main.inputs()?)?.unwrap_or_default();
        for (k, index) in indices.into_iter().enumerate() {
            self.input(index).map_err(|e| e.at(|| format!("input {k}")))?;
        }
        Ok(())
    }

    fn input(&mut self, index: i32) -> Result<()> {
        let i = self.index(index)?;
        if self.values[i].is_some() {
            return Err(ReadError::malformed(format!("tensor {i} is an input twice")));
        }
        let ty = self.tensors[i].ty(&mut self.budget)?;
        let name = self.fresh(&self.tensors[i].name.clone())?;
        self.values[i] = Some(self.graph.add_input(name, ty)?);
        Ok(())
    }

    fn outputs(&mut self, main: &SubGraphRef<'a>) -> Result<()> {
        let indices = model::numbers(&mut self.budget, main.outputs()?)?.unwrap_or_default();
        if indices.is_empty() {
            return Err(ReadError::malformed("has no outputs"));
        }
        for (k, index) in indices.into_iter().enumerate() {
            let part = || format!("output {k}");
            let value = self.index(index).and_then(|i| self.value(i)).map_err(|e| e.at(part))?;
            let name = self.tensors[index as usize].name.clone();
            self.graph.add_output(name, value);
        }
        Ok(())
    }

    /// Reads every operator, and lists those that are not supported.
    fn operators(
        &mut self,
        source: &Source,
        model: &ModelRef<'a>,
        main: &SubGraphRef<'a>,
    ) -> Result<Vec<Refusal>, FormatError> {
        let head = |e: Damaged| to_format(source, "subgraph 0".to_owned(), e.into());
        let codes = model.operator_codes().map_err(head)?;
        let Some(list) = main.operators().map_err(head)? else { return Ok(Vec::new()) };
        for index in list.iter().flatten().filter_map(|o| o.inputs().ok().flatten()).flatten() {
            let read = usize::try_from(index).ok().and_then(|i| self.read.get_mut(i));
            read.into_iter().for_each(|read| *read = true);
        }
        let mut refused = Vec::new();
        for (i, table) in list.iter().enumerate() {
            let place = |name: &str| format!("subgraph 0, operator {i}{name}");
            let operator = table
                .map_err(ReadError::from)
                .and_then(|table| operator(table, codes))
                .map_err(|e| to_format(source, place(""), e))?;
            let name = operator.name();
            let mut cx = match OpCx::new(self, &operator, i) {
                Ok(cx) => cx,
                Err(e) => return Err(to_format(source, place(&format!(" ({name})")), e)),
            };
            let result = match ops::reader(operator.code) {
                Some(read) => read(&mut cx).and_then(|()| cx.complete()),
                None => Err(ReadError::unsupported(match operator.custom {
                    Some(_) => "custom operators are not known; replace it by built-in ones",
                    None => "the reader does not know this operator",
                })),
            };
            match result {
                Ok(()) => {}
                Err(ReadError::Unsupported(why)) => {
                    let node = cx.name();
                    cx.stand_in();
                    refused.push(Refusal { node, op: name, why });
                }
                // What follows a refused operator is looked at only to complete the list.
                Err(_) if !refused.is_empty() => cx.stand_in(),
                Err(e) => return Err(to_format(source, place(&format!(" ({name})")), e)),
            }
        }
        Ok(refused)
    }

    /// The value of a tensor. Constants come into the graph with their first use.
    fn value(&mut self, i: usize) -> Result<ValueId> {
        if let Some(value) = self.values[i] {
            return Ok(value);
        }
        let info = &self.tensors[i];
        if info.variable {
            let shape = info.shape.clone();
            return self.state(i, shape);
        }
        if !info.is_const() && !info.is_empty() {
            return Err(ReadError::malformed(format!(
                "tensor {i} `{}` is read before anything computes it",
                info.name
            )));
        }
        let ty = info.ty(&mut self.budget)?;
        let data = match info.constant(&mut self.budget)? {
            Some(data) => data,
            None => Tensor::zeros(ty.dtype, info.shape.clone())?.into(),
        };
        let name = self.fresh(&self.tensors[i].name.clone())?;
        let value = self.graph.add_const(name, data, ty.quant)?;
        self.values[i] = Some(value);
        Ok(value)
    }

    /// The state that a variable tensor is. It starts as real zeros where it is `i8`, and as stored
    /// zeros otherwise, as the format's runtimes have it.
    fn state(&mut self, i: usize, shape: Vec<usize>) -> Result<ValueId> {
        let mut ty = self.tensors[i].ty(&mut self.budget)?;
        self.budget.take(ty.byte_len().unwrap_or(usize::MAX))?;
        if ty.shape.elements() != paring_tensor::Shape::from(&shape).elements() {
            return Err(ReadError::malformed(format!("state {} is not {shape:?}", ty.shape)));
        }
        ty.shape = (&shape).into();
        let mut initial = Tensor::zeros(ty.dtype, shape)?;
        if let (paring_tensor::DType::I8, Some((_, zero))) =
            (ty.dtype, ty.quant.as_ref().and_then(paring_tensor::Quant::as_per_tensor))
        {
            initial =
                Tensor::new(ty.dtype, initial.shape(), vec![zero as u8; initial.len()].into())?;
        }
        let name = self.fresh(&self.tensors[i].name.clone())?;
        let current = self.graph.add_state(name, ty)?;
        self.variables.insert(i, Variable { current, next: current, initial });
        self.values[i] = Some(current);
        Ok(current)
    }

    /// Gives the graph its states.
    fn finish(mut self) -> Graph {
        let mut variables: Vec<_> = self.variables.into_iter().collect();
        variables.sort_by_key(|(i, _)| *i);
        for (_, v) in variables {
            self.graph.set_state(v.current, v.next, v.initial);
        }
        self.graph.remove_dead();
        for (value, name) in self.heirs {
            if self.graph.get_value(value).is_none() || self.graph.value_named(&name).is_some() {
                continue;
            }
            let node = self.graph.producer(value).map(|n| n.id);
            self.graph.rename_value(value, name.clone());
            if let Some(node) = node {
                self.graph.rename_node(node, name);
            }
        }
        self.graph
    }

    /// The contents of a value that depends on constants alone; evaluates it if it is computed.
    fn known(&mut self, value: ValueId) -> Result<Option<Tensor>> {
        if let Some(data) = self.graph.constant(value) {
            return Ok(Some(data.dense()));
        }
        if let Some(tensor) = self.folded.get(&value) {
            return Ok(Some(tensor.clone()));
        }
        let Some(part) = self.constant_part(value)? else { return Ok(None) };
        let Some(executor) = self.options.executor else {
            return Err(ReadError::unsupported(
                "takes parameters that are computed from constants; give the reader an executor",
            ));
        };
        let failed = |e: String| ReadError::malformed(format!("evaluating its parameters: {e}"));
        let verified = part.verified().map_err(|e| failed(e.to_string()))?;
        let mut session = executor.prepare(verified).map_err(|e| failed(e.to_string()))?;
        let mut outputs = session.run(&[]).map_err(|e| failed(e.to_string()))?;
        if outputs.len() != 1 {
            return Err(failed("no result".to_owned()));
        }
        let tensor = outputs.swap_remove(0);
        self.folded.insert(value, tensor.clone());
        Ok(Some(tensor))
    }

    /// The value that the caller states for an input.
    fn given(&self, input: ValueId) -> Option<Tensor> {
        let at = self.graph.inputs().iter().position(|p| p.value == input)?;
        let ty = self.graph.ty(input);
        let value = self.options.values.get(at).filter(|t| t.dtype() == ty.dtype)?;
        value.reshape(ty.shape.fixed()?).ok()
    }

    /// The nodes that compute a value, as a graph, if they depend on constants alone.
    fn constant_part(&mut self, value: ValueId) -> Result<Option<Graph>> {
        let mut order = Vec::new();
        let mut seen = std::collections::HashSet::new();
        let mut stack = vec![(value, false)];
        while let Some((v, done)) = stack.pop() {
            if done {
                order.push(v);
                continue;
            }
            if !seen.insert(v) {
                continue;
            }
            self.budget.take(self.graph.ty(v).byte_len().unwrap_or(usize::MAX))?;
            stack.push((v, true));
            match self.graph.value(v).def() {
                Def::Const(_) => {}
                Def::Node(..) => {
                    let inputs = self.graph.producer(v).map(|n| n.inputs().to_vec());
                    stack.extend(inputs.unwrap_or_default().into_iter().map(|v| (v, false)));
                }
                Def::Input if self.given(v).is_some() => {}
                Def::Input | Def::State => return Ok(None),
            }
        }
        let mut part = Graph::new("constants");
        let mut map: HashMap<ValueId, ValueId> = HashMap::new();
        for v in order {
            if map.contains_key(&v) {
                continue;
            }
            let from = self.graph.value(v);
            let given = self.given(v).map(ConstData::from);
            if let Some(data) = from.constant().cloned().or(given) {
                let id = part.add_const(from.name.clone(), data, from.ty.quant.clone())?;
                map.insert(v, id);
            } else if let Some(node) = self.graph.producer(v) {
                let inputs: Option<Vec<_>> =
                    node.inputs().iter().map(|i| map.get(i).copied()).collect();
                let Some(inputs) = inputs else { return Ok(None) };
                let outputs = node.outputs().iter().map(|o| self.graph.value(*o));
                let outputs = outputs.map(|o| (o.name.clone(), o.ty.clone())).collect();
                let ids = part.add_typed_node(node.name.clone(), &node.op, &inputs, outputs)?;
                map.extend(node.outputs().iter().copied().zip(ids));
            }
        }
        match map.get(&value) {
            Some(v) => part.add_output("result", *v),
            None => return Ok(None),
        }
        Ok(Some(part))
    }
}

/// What the reader of one operator works with.
pub(crate) struct OpCx<'i, 'a> {
    pub(crate) import: &'i mut Import<'a>,
    pub(crate) table: OperatorRef<'a>,
    inputs: Vec<i32>,
    outputs: Vec<usize>,
    position: usize,
}

impl<'i, 'a> OpCx<'i, 'a> {
    fn new(import: &'i mut Import<'a>, operator: &Operator<'a>, position: usize) -> Result<Self> {
        let table = operator.table;
        let inputs = model::numbers(&mut import.budget, table.inputs()?)?.unwrap_or_default();
        for (k, i) in inputs.iter().enumerate().filter(|(_, i)| **i != -1) {
            import.index(*i).map_err(|e| e.at(|| format!("input {k}")))?;
        }
        let outputs = model::numbers(&mut import.budget, table.outputs()?)?.unwrap_or_default();
        let outputs = outputs.into_iter().enumerate().map(|(k, i)| {
            let i = import.index(i).map_err(|e| e.at(|| format!("output {k}")))?;
            if import.values[i].is_some() {
                let why = format!("tensor {i} has contents or is computed already");
                return Err(ReadError::malformed(why).at(|| format!("output {k}")));
            }
            Ok(i)
        });
        let outputs = outputs.collect::<Result<Vec<_>>>()?;
        if outputs.iter().collect::<std::collections::HashSet<_>>().len() != outputs.len() {
            return Err(ReadError::malformed("two outputs are one tensor"));
        }
        Ok(Self { import, table, inputs, outputs, position })
    }

    /// The name of the node: that of the first output.
    pub(crate) fn name(&self) -> String {
        match self.outputs.first() {
            Some(i) => self.import.tensors[*i].name.clone(),
            None => format!("operator {}", self.position),
        }
    }

    /// Number of results.
    pub(crate) fn output_count(&self) -> usize {
        self.outputs.len()
    }

    fn input_index(&self, k: usize) -> Option<usize> {
        self.inputs.get(k).and_then(|i| usize::try_from(*i).ok())
    }

    /// What the file says of an operand.
    pub(crate) fn input_info(&self, k: usize) -> Option<&TensorInfo<'a>> {
        self.input_index(k).map(|i| &self.import.tensors[i])
    }

    /// What the file says of a result.
    pub(crate) fn output_info(&self, k: usize) -> Result<&TensorInfo<'a>> {
        let i = self.outputs.get(k);
        i.map(|i| &self.import.tensors[*i])
            .ok_or_else(|| ReadError::malformed(format!("has no output {k}")))
    }

    /// An operand, if it is there.
    pub(crate) fn optional(&mut self, k: usize) -> Result<Option<ValueId>> {
        let Some(i) = self.input_index(k) else { return Ok(None) };
        self.import.value(i).map(Some).map_err(|e| e.at(|| format!("input {k}")))
    }

    /// An operand that must be there.
    pub(crate) fn input(&mut self, k: usize) -> Result<ValueId> {
        self.optional(k)?.ok_or_else(|| ReadError::malformed(format!("input {k} is left out")))
    }

    /// All operands, none left out.
    pub(crate) fn all_inputs(&mut self) -> Result<Vec<ValueId>> {
        (0..self.inputs.len()).map(|k| self.input(k)).collect()
    }

    /// Type of a value.
    pub(crate) fn ty(&self, value: ValueId) -> &TensorType {
        self.import.graph.ty(value)
    }

    /// Extents of a value. All values have numbers for extents: the format stores them.
    pub(crate) fn shape(&self, value: ValueId) -> Result<Vec<usize>> {
        let ty = self.ty(value);
        ty.shape.fixed().ok_or_else(|| ReadError::malformed(format!("shape {}", ty.shape)))
    }

    /// The contents of an operand that has to be constant.
    pub(crate) fn known(&mut self, k: usize) -> Result<Tensor> {
        let value = self.input(k)?;
        self.import.known(value).and_then(|t| {
            t.ok_or_else(|| {
                ReadError::unsupported(format!(
                    "input {k} decides shapes and depends on the model's inputs"
                ))
            })
        })
    }

    /// The integers of an operand that has to be constant.
    pub(crate) fn ints(&mut self, k: usize) -> Result<Vec<i64>> {
        let tensor = self.known(k)?;
        if !tensor.dtype().is_integer() {
            let why = format!("holds {} elements where integers belong", tensor.dtype());
            return Err(ReadError::malformed(why).at(|| format!("input {k}")));
        }
        // Parameters are a few numbers; anything long is no parameter.
        self.import.budget.take(tensor.len().saturating_mul(8))?;
        Ok(tensor.to_i64())
    }

    /// The one integer of an operand that has to be constant.
    pub(crate) fn int(&mut self, k: usize) -> Result<i64> {
        match self.ints(k)?.as_slice() {
            [n] => Ok(*n),
            other => Err(ReadError::malformed(format!("holds {} numbers, not one", other.len()))
                .at(|| format!("input {k}"))),
        }
    }

    /// The declared type of a result, with this shape. A quantization that the element type cannot
    /// have is left out.
    pub(crate) fn output_type(&mut self, k: usize) -> Result<TensorType> {
        self.output_info(k)?;
        let i = self.outputs[k];
        let info = &self.import.tensors[i];
        let at = |e: ReadError| e.at(|| format!("output {k}"));
        let dtype = info.dtype().map_err(at)?;
        let quant = info.quant(&mut self.import.budget).map_err(at)?;
        Ok(TensorType { dtype, shape: info.shape.as_slice().into(), quant })
    }

    /// Adds the node that computes the operator's results. Their shapes are what the op makes of its
    /// inputs; element types and quantization are the declared ones where the op leaves a choice.
    pub(crate) fn emit<T: paring_ir::DynOp>(&mut self, op: T, inputs: &[ValueId]) -> Result<()> {
        self.emit_range(0..self.outputs.len(), op, inputs)
    }

    /// As [`emit`](Self::emit), for a node that computes one of the results.
    pub(crate) fn emit_one<T: paring_ir::DynOp>(
        &mut self,
        k: usize,
        op: T,
        inputs: &[ValueId],
    ) -> Result<()> {
        self.output_info(k)?;
        self.emit_range(k..k + 1, op, inputs)
    }

    fn emit_range<T: paring_ir::DynOp>(
        &mut self,
        results: std::ops::Range<usize>,
        op: T,
        inputs: &[ValueId],
    ) -> Result<()> {
        let (op, types): (paring_ir::OpRef, _) = self.inferred(op, inputs)?;
        if types.len() < results.len() {
            let (has, wants) = (types.len(), results.len());
            return Err(ReadError::malformed(format!("{wants} outputs where there are {has}")));
        }
        let quantized = inputs.iter().any(|v| self.ty(*v).quant.is_some());
        let mut outputs = Vec::with_capacity(types.len());
        for (offset, inferred) in types.into_iter().enumerate() {
            if offset >= results.len() {
                let name = format!("{}:{offset}", self.name());
                outputs.push((self.import.fresh(&name)?, inferred));
                continue;
            }
            let k = results.start + offset;
            let ty = self.declared(k, op.quant_rule(), quantized, inferred)?;
            let name = self.import.tensors[self.outputs[k]].name.clone();
            outputs.push((self.import.fresh(&name)?, ty));
        }
        let node = outputs.first().map_or_else(|| self.name(), |(name, _)| name.clone());
        let ids = self.import.graph.add_typed_node(node, op, inputs, outputs)?;
        for (i, id) in self.outputs[results].iter().zip(ids) {
            self.import.values[*i] = Some(id);
        }
        Ok(())
    }

    /// The type of result `k` of the operator where an op computes it as its first output.
    pub(crate) fn result_type<T: paring_ir::DynOp>(
        &mut self,
        k: usize,
        op: &T,
        inputs: &[ValueId],
    ) -> Result<TensorType> {
        let quantized = inputs.iter().any(|v| self.ty(*v).quant.is_some());
        let types: Vec<&TensorType> = inputs.iter().map(|v| self.ty(*v)).collect();
        let found = op.infer(&types).map_err(|e| unfit(&e))?;
        let inferred = found.into_iter().next();
        let inferred = inferred.ok_or_else(|| ReadError::malformed("computes nothing"))?;
        self.declared(k, op.quant_rule(), quantized, inferred)
    }

    /// Adds a node whose first output is the operator's result, of these types.
    pub(crate) fn results<T: paring_ir::DynOp>(
        &mut self,
        op: T,
        inputs: &[ValueId],
        types: Vec<TensorType>,
    ) -> Result<Vec<ValueId>> {
        self.output_info(0)?;
        let name = self.name();
        let ids = self.before_typed(&name, std::sync::Arc::new(op), inputs, types)?;
        self.import.values[self.outputs[0]] = ids.first().copied();
        Ok(ids)
    }

    /// The type of a result that an op infers to be of type `inferred`.
    fn declared(
        &mut self,
        k: usize,
        rule: paring_ir::QuantRule,
        quantized: bool,
        inferred: TensorType,
    ) -> Result<TensorType> {
        let declared = self.output_type(k)?;
        let free = match rule {
            paring_ir::QuantRule::Computes => quantized,
            paring_ir::QuantRule::Quantizes => true,
            paring_ir::QuantRule::Moves => false,
        };
        // The runtimes move the numbers and do not look. What only the caller sees keeps the
        // quantization that the numbers really have.
        if rule == paring_ir::QuantRule::Moves
            && declared.quant.is_some()
            && declared.quant != inferred.quant
            && self.import.read[self.outputs[k]]
        {
            return Err(ReadError::unsupported(format!(
                "output {k} declares another quantization than the input whose numbers it moves"
            )));
        }
        let ty = if free && declared.quant.is_some() {
            TensorType { shape: inferred.shape, ..declared }
        } else if declared.dtype == inferred.dtype {
            inferred
        } else {
            let why = format!("holds {} elements where {} belong", declared.dtype, inferred.dtype);
            return Err(ReadError::malformed(why).at(|| format!("output {k}")));
        };
        ty.check()?;
        Ok(ty)
    }

    /// Adds a node before the one that computes the results; one output, of the inferred type, with
    /// the quantization given.
    pub(crate) fn before<T: paring_ir::DynOp>(
        &mut self,
        suffix: &str,
        op: T,
        inputs: &[ValueId],
    ) -> Result<ValueId> {
        let (op, types): (paring_ir::OpRef, _) = self.inferred(op, inputs)?;
        let name = format!("{}/{suffix}", self.name());
        let outputs = self.before_typed(&name, op, inputs, types)?;
        outputs.first().copied().ok_or_else(|| ReadError::malformed("computes nothing"))
    }

    /// As [`before`](Self::before), with the types of all outputs.
    pub(crate) fn before_as<T: paring_ir::DynOp>(
        &mut self,
        suffix: &str,
        op: T,
        inputs: &[ValueId],
        types: Vec<TensorType>,
    ) -> Result<Vec<ValueId>> {
        let name = format!("{}/{suffix}", self.name());
        self.before_typed(&name, std::sync::Arc::new(op), inputs, types)
    }

    fn before_typed(
        &mut self,
        name: &str,
        op: paring_ir::OpRef,
        inputs: &[ValueId],
        types: Vec<TensorType>,
    ) -> Result<Vec<ValueId>> {
        let mut outputs = Vec::with_capacity(types.len());
        for ty in types {
            outputs.push((self.import.fresh(name)?, ty));
        }
        let node = outputs.first().map_or_else(|| name.to_owned(), |(name, _)| name.clone());
        Ok(self.import.graph.add_typed_node(node, op, inputs, outputs)?)
    }

    fn inferred<T: paring_ir::DynOp>(
        &self,
        op: T,
        inputs: &[ValueId],
    ) -> Result<(paring_ir::OpRef, Vec<TensorType>)> {
        let types: Vec<&TensorType> = inputs.iter().map(|v| self.ty(*v)).collect();
        let found = op.infer(&types).map_err(|e| unfit(&e))?;
        Ok((std::sync::Arc::new(op), found))
    }

    /// Makes a value the operator's result as it is.
    pub(crate) fn forward(&mut self, k: usize, value: ValueId) -> Result<()> {
        self.output_info(k)?;
        let i = self.outputs[k];
        self.import.values[i] = Some(value);
        Ok(())
    }

    /// Adds a constant that is made, not read.
    pub(crate) fn constant(
        &mut self,
        suffix: &str,
        data: impl Into<ConstData>,
        quant: Option<paring_tensor::Quant>,
    ) -> Result<ValueId> {
        let name = format!("{}/{suffix}", self.name());
        let name = self.import.fresh(&name)?;
        Ok(self.import.graph.add_const(name, data, quant)?)
    }

    /// The operand as a state of this shape; it must be a variable tensor.
    pub(crate) fn state(&mut self, k: usize, shape: &[usize]) -> Result<ValueId> {
        let at = |e: ReadError| e.at(|| format!("input {k}"));
        let Some(i) = self.input_index(k).filter(|i| self.import.tensors[*i].variable) else {
            return Err(at(ReadError::malformed("is not a variable tensor")));
        };
        if let Some(value) = self.import.values[i] {
            return Ok(value);
        }
        self.import.state(i, shape.to_vec()).map_err(at)
    }

    /// What the state becomes.
    pub(crate) fn set_state(&mut self, k: usize, next: ValueId) -> Result<()> {
        let i = self.input_index(k).ok_or_else(|| ReadError::malformed("a state is left out"))?;
        if let Some(variable) = self.import.variables.get_mut(&i) {
            variable.next = next;
            self.import.values[i] = Some(next);
        }
        Ok(())
    }

    /// The type that the file declares for a tensor that belongs to the operator alone.
    pub(crate) fn intermediate(&mut self, k: usize) -> Result<Option<TensorType>> {
        let Some(list) = self.table.intermediates()? else { return Ok(None) };
        let Some(i) = list.get(k) else { return Ok(None) };
        let i = self.import.index(i).map_err(|e| e.at(|| format!("intermediate {k}")))?;
        let info = &self.import.tensors[i];
        let (dtype, quant) = (info.dtype()?, info.quant(&mut self.import.budget)?);
        Ok(Some(TensorType { dtype, shape: info.shape.as_slice().into(), quant }))
    }

    /// Checks that every result got a value.
    fn complete(&self) -> Result<()> {
        match self.outputs.iter().position(|i| self.import.values[*i].is_none()) {
            Some(k) => Err(ReadError::malformed(format!("nothing computes output {k}"))),
            None => Ok(()),
        }
    }

    /// Gives the results of an operator that is not supported values of their declared types, so that
    /// the operators after it can be looked at. The graph is thrown away afterwards.
    fn stand_in(&mut self) {
        for i in self.outputs.clone() {
            if self.import.values[i].is_some() {
                continue;
            }
            let name = self.import.fresh("stand-in");
            let ty = self.import.tensors[i].ty(&mut self.import.budget);
            if let (Ok(name), Ok(ty)) = (name, ty) {
                self.import.values[i] = self.import.graph.add_input(name, ty).ok();
            }
        }
    }
}

fn unfit(error: &paring_ir::OpError) -> ReadError {
    ReadError::malformed(format!("its operands do not fit: {error}"))
}
