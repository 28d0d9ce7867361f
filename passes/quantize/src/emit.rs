use crate::groups::{Form, Plan, dtype_of};
use crate::role::{Role, packed};
use crate::weights::{bias as store_bias, unsigned, widen_for_bias};
use crate::{Io, Quantize, lstm};
use paring_ir::ops::{Dequantize, Quantize as ToQuantized};
use paring_ir::{Def, Graph, GraphError, Node, Patch, ValueId};
use paring_layerwise::weights;
use paring_pass::{LayerReport, PassError, consts};
use paring_tensor::{DType, Quant, Tensor, TensorType};
use std::collections::HashMap;

struct Emitter<'a> {
    settings: &'a Quantize,
    limit: f32,
    graph: &'a Graph,
    plan: &'a Plan,
    patch: Patch,
    /// The quantized forms of values.
    quantized: HashMap<Form, ValueId>,
    /// The real form of values that are computed quantized.
    real: HashMap<ValueId, ValueId>,
    /// What stands for values that were quantized before.
    moved: HashMap<ValueId, ValueId>,
    layers: Vec<LayerReport>,
}

fn describe(dtype: DType, scales: usize) -> String {
    match scales {
        1 => format!("{dtype}, one scale"),
        n => format!("{dtype}, {n} scales"),
    }
}

/// Builds the quantized network and says what became of each node.
pub(crate) fn emit(
    settings: &Quantize,
    limit: f32,
    graph: &Graph,
    plan: &Plan,
) -> Result<(Patch, Vec<LayerReport>), PassError> {
    let patch = Patch::new(graph, "quantize");
    let mut e = Emitter {
        settings,
        limit,
        graph,
        plan,
        patch,
        quantized: HashMap::new(),
        real: HashMap::new(),
        moved: HashMap::new(),
        layers: Vec::new(),
    };
    e.states()?;
    e.inputs();
    for id in graph.topological() {
        let node = graph.node(id);
        match plan.roles.get(&id) {
            Some(role) => e.node(node, *role)?,
            None => e.island(node)?,
        }
    }
    e.outputs()?;
    Ok((e.patch, e.layers))
}

impl<'a> Emitter<'a> {
    fn ty(&self, form: Form, quant: &Quant) -> TensorType {
        let shape = self.graph.ty(form.value).shape.clone();
        let dtype = dtype_of(self.settings.activations.dtype, form.wide);
        TensorType { dtype, shape, quant: Some(quant.clone()) }
    }

    /// The form that a value is computed or given in.
    fn native(&self, v: ValueId) -> Form {
        self.plan.native(self.graph, v)
    }

    /// What the report says of a result.
    fn result(&self, v: ValueId) -> Option<String> {
        let form = self.native(v);
        let quant = self.plan.quants.get(&form)?;
        Some(format!("{} {quant}", dtype_of(self.settings.activations.dtype, form.wide)))
    }

    /// States become quantized in place.
    fn states(&mut self) -> Result<(), PassError> {
        for state in self.graph.states() {
            let form = self.native(state.current);
            let Some(quant) = self.plan.quants.get(&form) else { continue };
            let ty = self.ty(form, quant);
            let initial = quant.quantize(&state.initial.dense(), ty.dtype)?;
            self.patch.set_initial(state.current, initial);
            self.patch.set_type(state.current, ty);
            self.quantized.insert(form, state.current);
        }
        Ok(())
    }

    /// Inputs that quantized nodes read become quantized in place, unless they are to stay real.
    fn inputs(&mut self) {
        if self.settings.io == Some(Io::F32) {
            return;
        }
        for port in self.graph.inputs() {
            let form = self.native(port.value);
            let Some(quant) = self.plan.quants.get(&form) else { continue };
            self.patch.set_type(port.value, self.ty(form, quant));
            self.quantized.insert(form, port.value);
        }
    }

    /// A quantized form of a value that the plan has a scale for.
    fn quantized(&mut self, form: Form) -> Result<ValueId, GraphError> {
        if let Some(q) = self.quantized.get(&form) {
            return Ok(*q);
        }
        let v = form.value;
        let Some(quant) = self.plan.quants.get(&form) else {
            let why = format!("`{}` has no scale", self.graph.value(v).name);
            return Err(GraphError::Patch { patch: "quantize".into(), why });
        };
        let ty = self.ty(form, quant);
        let name = self.graph.value(v).name.clone();
        let new = match self.graph.value(v).def() {
            Def::Const(data) => {
                let real = data.dense();
                let fault =
                    |e| GraphError::Patch { patch: "quantize".into(), why: format!("{name}: {e}") };
                let stored = quant.quantize(&real, ty.dtype).map_err(fault)?;
                self.patch.constant(&name, stored, Some(quant.clone()))
            }
            _ => {
                let other = Form::new(v, !form.wide);
                let (from, name) = match self.quantized.get(&other) {
                    Some(q) => (*q, format!("{name}/{}", ty.dtype)),
                    None => (v, format!("{name}/quantize")),
                };
                self.patch.typed_node(name, ToQuantized::default(), &[from], vec![ty])[0]
            }
        };
        self.quantized.insert(form, new);
        Ok(new)
    }

    /// The real form of a value.
    fn real(&mut self, v: ValueId) -> Result<ValueId, GraphError> {
        if let Some(real) = self.real.get(&v) {
            return Ok(*real);
        }
        let computed_quantized = self.quantized.get(&self.native(v)).copied().filter(|q| {
            // A value that was real before and only has a quantized copy stays as it is.
            *q == v || self.graph.producer(v).is_some_and(|n| self.plan.roles.contains_key(&n.id))
        });
        let Some(q) = computed_quantized else { return Ok(v) };
        let name = format!("{}/dequantize", self.graph.value(v).name);
        let new = self.patch.node(self.graph, name, Dequantize {}, &[q])?[0];
        self.real.insert(v, new);
        Ok(new)
    }

    /// A node that stays as it is; what it reads may not.
    fn island(&mut self, node: &Node) -> Result<(), GraphError> {
        if node.outputs().iter().any(|v| self.graph.ty(*v).dtype == DType::F32) {
            let mut report = LayerReport::new(node);
            report.result = Some("f32".into());
            report.note = self.plan.floats.get(&node.id).cloned().unwrap_or_default();
            self.layers.push(report);
        }
        let mut operands = Vec::with_capacity(node.inputs().len());
        for &v in node.inputs() {
            operands.push(self.real(v)?);
        }
        if operands != node.inputs() {
            self.patch.set_operands(node.id, operands);
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, role: Role) -> Result<(), PassError> {
        let graph = self.graph;
        let is_real = |v: ValueId| graph.ty(v).dtype == DType::F32;
        match role {
            Role::Dequantizes => {
                // Packed weights are taken up by their layers; other values are used as they are.
                let v = node.inputs()[0];
                if graph.constant(v).is_none()
                    && graph.ty(v).dtype == self.settings.activations.dtype
                {
                    let now = self.moved.get(&v).copied().unwrap_or(v);
                    self.quantized.insert(Form::new(node.outputs()[0], false), now);
                }
                return Ok(());
            }
            Role::Quantizes if is_real(node.inputs()[0]) => {
                let v = node.inputs()[0];
                let output = node.outputs()[0];
                let x = self.quantized(Form::new(v, false))?;
                let wanted = graph.ty(output).clone();
                let new = if self.patch.ty(graph, x) == &wanted {
                    x
                } else {
                    self.patch.typed_node(&node.name, ToQuantized::default(), &[x], vec![wanted])[0]
                };
                self.patch.replace(output, new);
                self.moved.insert(output, new);
                return Ok(());
            }
            Role::Lstm => return self.lstm(node),
            _ => {}
        }
        let wide = self.plan.wide.contains(&node.id);
        let mut operands = Vec::with_capacity(node.inputs().len());
        for (i, &v) in node.inputs().iter().enumerate() {
            if role == Role::Layer && i > 0 {
                break;
            }
            let now = self.moved.get(&v).copied().unwrap_or(v);
            operands.push(if is_real(v) { self.quantized(Form::new(v, wide))? } else { now });
        }
        if role == Role::Layer {
            self.layer(node, &mut operands)?;
        } else if let Some(result) = node.outputs().first().and_then(|v| self.result(*v)) {
            let mut report = LayerReport::new(node);
            report.result = Some(result);
            self.layers.push(report);
        }
        let mut types = Vec::with_capacity(node.outputs().len());
        for &v in node.outputs() {
            let form = Form::new(v, wide);
            types.push(
                match (is_real(v), self.plan.natural.get(&form).or(self.plan.quants.get(&form))) {
                    (true, Some(quant)) => self.ty(form, quant),
                    _ => graph.ty(v).clone(),
                },
            );
        }
        let new = self.patch.typed_node(&node.name, &node.op, &operands, types);
        for (&v, mut new) in node.outputs().iter().zip(new) {
            let form = Form::new(v, wide);
            let quants = (self.plan.natural.get(&form), self.plan.quants.get(&form));
            if let (Some(_), Some(quant)) = quants {
                let name = format!("{}/rescale", graph.value(v).name);
                let ty = self.ty(form, quant);
                new = self.patch.typed_node(name, ToQuantized::default(), &[new], vec![ty])[0];
            }
            if is_real(v) {
                self.quantized.insert(form, new);
            } else {
                self.patch.replace(v, new);
                self.moved.insert(v, new);
            }
        }
        Ok(())
    }

    /// Weights and bias of a layer whose input is the first of `operands`.
    fn layer(&mut self, node: &Node, operands: &mut Vec<ValueId>) -> Result<(), PassError> {
        let graph = self.graph;
        let input_type = self.patch.ty(graph, operands[0]).clone();
        let input = input_type.quant.as_ref().and_then(Quant::as_per_tensor).map(|(s, _)| s);
        let Some(input) = input else {
            return Err(PassError::Internal(format!("`{}` has no input scale", node.name)));
        };
        let bias = match node.inputs().get(2) {
            None => None,
            Some(b) => Some(self.real_constant(*b)?),
        };
        let w = node.inputs()[1];
        let name = graph.value(w).name.clone();
        let (stored, scales, described, error) = match packed(graph, w) {
            Some(stored) => {
                let ty = graph.ty(stored);
                let usable = match &ty.quant {
                    Some(q @ Quant::PerAxis { axis: 0, .. }) => q.is_symmetric(),
                    Some(q) => q.is_symmetric() && q.as_per_tensor().is_some(),
                    None => false,
                };
                let unsigned = self.settings.activations.dtype == DType::U8;
                if unsigned || !usable || !matches!(ty.dtype, DType::I8 | DType::I4) {
                    let taken = if unsigned {
                        "layers between u8 activations take weights that no step has rounded before"
                    } else {
                        "integer layers take symmetric i8 or i4 weights with one scale or one an \
                         output channel"
                    };
                    return Err(PassError::Input(format!(
                        "the weights of `{}` are {ty}, but {taken}",
                        node.name
                    )));
                }
                let scales = ty.quant.as_ref().map_or_else(Vec::new, |q| q.scales().to_vec());
                let mut wide = scales.clone();
                if let Some(bias) = &bias {
                    widen_for_bias(&mut wide, bias, input);
                }
                let described = describe(ty.dtype, scales.len());
                match graph.constant(stored) {
                    Some(data) if wide != scales => {
                        let real = self.real_constant(w)?;
                        let real = Tensor::from_vec(data.shape(), real)?;
                        let real = consts::with_elements(data, &real)?;
                        let coarse = weights::round(&real, &wide, self.limit, ty.dtype)?;
                        let quant = Some(weights::quant(wide.clone()));
                        (self.patch.constant(&name, coarse, quant), wide, described, None)
                    }
                    _ => (stored, scales, described, None),
                }
            }
            None => {
                let Some(data) = graph.constant(w).filter(|d| d.dtype() == DType::F32) else {
                    return Err(PassError::Input(format!(
                        "the weights of `{}` are {}, not f32",
                        node.name,
                        graph.ty(w)
                    )));
                };
                let real = data.dense().to_f32();
                if real.iter().any(|x| !x.is_finite()) {
                    return Err(PassError::Input(format!(
                        "the weights `{name}` are not all finite"
                    )));
                }
                let how = &self.settings.weights;
                let (stored, quant) = if how.dtype == DType::U8 {
                    unsigned(data, &real, bias.as_deref(), input)?
                } else {
                    let channels = data.shape().first().copied().unwrap_or(1);
                    let per = weights::sharing(data, how.per);
                    let mut scales = weights::scales(&real, channels, self.limit, per, how.range);
                    if let Some(bias) = &bias {
                        widen_for_bias(&mut scales, bias, input);
                    }
                    let stored = weights::round(data, &scales, self.limit, how.dtype)?;
                    (stored, weights::quant(scales))
                };
                let scales = quant.scales().to_vec();
                let error = weights::sqnr(&real, &stored.dense(), &quant);
                let described = describe(how.dtype, scales.len());
                (self.patch.constant(&name, stored, Some(quant)), scales, described, Some(error))
            }
        };
        operands.push(stored);
        if let (Some(bias), Some(b)) = (bias, node.inputs().get(2)) {
            let wide = input_type.dtype == DType::I16;
            let dtype = if wide { DType::I64 } else { DType::I32 };
            let (tensor, quant) = store_bias(&bias, input, &scales, dtype)?;
            operands.push(self.patch.constant(&graph.value(*b).name, tensor, Some(quant)));
        }
        let mut report = LayerReport::new(node);
        report.weights = Some(described);
        report.weights_db = error;
        report.note = "error of the weights".into();
        if error.is_none() {
            report.note = "weights as they were".into();
        }
        let output = node.outputs()[0];
        report.result = self.result(output);
        self.layers.push(report);
        Ok(())
    }

    /// A recurrent layer: weights with one scale a gate, states, and all three results.
    fn lstm(&mut self, node: &Node) -> Result<(), PassError> {
        let graph = self.graph;
        if self.settings.activations.dtype != DType::I8 {
            return Err(PassError::Input(format!(
                "`{}` (lstm) has an integer form for i8 activations only",
                node.name
            )));
        }
        let x = self.quantized(Form::new(node.inputs()[0], false))?;
        let input_type = self.patch.ty(graph, x).clone();
        let input = input_type.quant.as_ref().and_then(Quant::as_per_tensor).map(|(s, _)| s);
        let input =
            input.ok_or_else(|| PassError::Internal(format!("`{}` has no scale", node.name)))?;
        let mut operands = vec![x];
        let mut report = LayerReport::new(node);
        report.weights = Some("i8, one scale a gate".into());
        report.note = "error of the weights".into();
        let mut scales = Vec::new();
        for &w in &node.inputs()[1..3] {
            let Some(data) = graph.constant(w) else { continue };
            let real = self.real_constant(w)?;
            let shape = data.shape();
            let (directions, rows) = (shape[0], shape[1]);
            let own = lstm::gate_scales(&real, directions, rows);
            let quant = Quant::symmetric(1, own.clone());
            let stored = quant.quantize(&data.dense(), DType::I8)?;
            let error = weights::sqnr(&real, &stored, &quant);
            report.weights_db = Some(report.weights_db.map_or(error, |db| db.min(error)));
            operands.push(self.patch.constant(&graph.value(w).name, stored, Some(quant)));
            scales.push(own);
        }
        let b = node.inputs()[3];
        let bias_scales: Vec<f32> =
            scales.first().into_iter().flatten().map(|s| input * s).collect();
        let quant = Quant::symmetric(1, bias_scales);
        let shape = graph.constant(b).map_or_else(Vec::new, |d| d.shape().to_vec());
        let real = Tensor::from_vec(shape, self.real_constant(b)?)?;
        let stored = quant.quantize(&real, DType::I32)?;
        operands.push(self.patch.constant(&graph.value(b).name, stored, Some(quant)));
        let types: Vec<TensorType> = node
            .outputs()
            .iter()
            .map(|v| match self.plan.quants.get(&self.native(*v)) {
                Some(quant) => Ok(self.ty(self.native(*v), quant)),
                None => Err(PassError::Internal(format!("`{}` has no scale", node.name))),
            })
            .collect::<Result<_, _>>()?;
        for (i, &v) in node.inputs()[4..].iter().enumerate() {
            match (graph.constant(v), &types[i + 1].quant) {
                (Some(data), Some(quant)) => {
                    let stored = quant.quantize(&data.dense(), types[i + 1].dtype)?;
                    let name = &graph.value(v).name;
                    operands.push(self.patch.constant(name, stored, Some(quant.clone())));
                }
                _ => operands.push(self.quantized(self.native(v))?),
            }
        }
        report.result = Some(format!("{}, cell {}", types[0], types[2]));
        self.layers.push(report);
        let new = self.patch.typed_node(&node.name, &node.op, &operands, types);
        let forms: Vec<Form> = node.outputs().iter().map(|v| self.native(*v)).collect();
        self.quantized.extend(forms.into_iter().zip(new));
        Ok(())
    }

    /// The real numbers of a constant, quantized or not.
    fn real_constant(&self, v: ValueId) -> Result<Vec<f32>, PassError> {
        let graph = self.graph;
        let of = packed(graph, v).unwrap_or(v);
        let Some(data) = graph.constant(of) else {
            return Err(PassError::Internal(format!("`{}` is no constant", graph.value(v).name)));
        };
        let numbers = match &graph.ty(of).quant {
            Some(quant) => quant.dequantize(&data.dense())?.to_f32(),
            None => data.dense().to_f32(),
        };
        if numbers.iter().any(|x| !x.is_finite()) {
            let name = &graph.value(v).name;
            return Err(PassError::Input(format!("the constant `{name}` is not all finite")));
        }
        Ok(numbers)
    }

    /// Puts the quantized values in the places of the real ones. Outputs and states have the type of the
    /// activations.
    fn outputs(&mut self) -> Result<(), GraphError> {
        let graph = self.graph;
        let computed =
            |v: ValueId| graph.producer(v).is_some_and(|n| self.plan.roles.contains_key(&n.id));
        let mut all: Vec<ValueId> = self
            .quantized
            .keys()
            .filter(|f| graph.constant(f.value).is_none() && computed(f.value))
            .map(|f| f.value)
            .collect();
        all.sort_unstable();
        all.dedup();
        for v in all {
            if graph.is_visible(v) && self.settings.io == Some(Io::F32) {
                let real = self.real(v)?;
                self.patch.replace(v, real);
                continue;
            }
            let native = self.native(v);
            let shown = Form::new(v, native.wide && self.plan.cells.contains(&v));
            let q = self.quantized(if graph.is_visible(v) { shown } else { native })?;
            if v != q {
                let ty = self.patch.ty(graph, q).clone();
                self.patch.set_type(v, ty);
                self.patch.replace(v, q);
            }
        }
        Ok(())
    }
}
