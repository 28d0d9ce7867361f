//! `If`, `Loop` and `Scan`, where constants decide what is done.

use crate::attrs::Attrs;
use crate::build::Val;
use crate::cx::{Cx, resolve_axis};
use crate::proto::{GraphProto, NodeProto};
use crate::reader::{Body, Reader, Scope, Stop, node_name};
use crate::reject::Reject;
use paring_ir::ops::Concat;
use paring_tensor::{DType, Tensor};

/// Whether an operator of the standard domain is imported here.
pub(crate) fn handles(op_type: &str) -> bool {
    matches!(op_type, "If" | "Loop" | "Scan")
}

/// Imports one of them.
pub(crate) fn import<'p>(
    reader: &mut Reader<'_, 'p>,
    node: &'p NodeProto,
    attrs: Attrs<'_, 'p>,
    inputs: Vec<Val>,
    scope: &Scope<'_>,
    body: &Body<'p>,
) -> Result<Vec<Val>, Stop> {
    match node.op_type.as_str() {
        "If" => choose(reader, node, inputs, scope, body),
        "Loop" => repeat(reader, node, inputs, scope, body),
        _ => scan(reader, node, attrs, inputs, scope, body),
    }
}

/// A graph attribute with the lifetime of the file.
fn branch<'p>(node: &'p NodeProto, name: &str) -> Result<&'p GraphProto, Reject> {
    node.attribute
        .iter()
        .find(|a| a.name == name)
        .and_then(|a| a.g.as_deref())
        .ok_or_else(|| Reject::malformed(format!("attribute `{name}`, a graph, is missing")))
}

/// Imports a branch with these values for its inputs, and gives its outputs.
fn run<'p>(
    reader: &mut Reader<'_, 'p>,
    graph: &'p GraphProto,
    inputs: Vec<Val>,
    scope: &Scope<'_>,
    body: &Body<'p>,
    prefix: String,
) -> Result<Vec<Val>, Stop> {
    let mut inner = scope.inner();
    reader.initializers(graph, &mut inner).map_err(Stop::Format)?;
    if graph.input.len() != inputs.len() {
        return Err(Reject::malformed(format!(
            "the body `{}` has {} inputs where {} are given",
            graph.name,
            graph.input.len(),
            inputs.len()
        ))
        .into());
    }
    for (port, val) in graph.input.iter().zip(inputs) {
        inner.set(&port.name, val);
    }
    let inside = Body { opsets: body.opsets.clone(), bindings: body.bindings.clone(), prefix };
    reader.nodes(&graph.node, &mut inner, &inside).map_err(Stop::Format)?;
    let outputs = graph.output.iter().map(|o| {
        inner.get(&o.name).cloned().ok_or_else(|| {
            Stop::from(Reject::malformed(format!("the body does not compute `{}`", o.name)))
        })
    });
    outputs.collect()
}

/// The single number that decides what is done.
fn number(reader: &Reader<'_, '_>, val: &Val, what: &str) -> Result<i64, Reject> {
    let Some(t) = reader.known(val) else {
        return Err(Reject::unsupported(format!(
            "{what} is computed from the model's inputs; it has to be constant"
        )));
    };
    match t.to_i64().as_slice() {
        [x] => Ok(*x),
        other => Err(Reject::malformed(format!("{what} has {} elements", other.len()))),
    }
}

fn truth(reader: &Reader<'_, '_>, val: &Val, what: &str) -> Result<bool, Reject> {
    Ok(number(reader, val, what)? != 0)
}

fn choose<'p>(
    reader: &mut Reader<'_, 'p>,
    node: &'p NodeProto,
    inputs: Vec<Val>,
    scope: &Scope<'_>,
    body: &Body<'p>,
) -> Result<Vec<Val>, Stop> {
    let condition = inputs.first().ok_or_else(|| Reject::malformed("input 0 is missing"))?;
    let name =
        if truth(reader, condition, "the condition")? { "then_branch" } else { "else_branch" };
    let prefix = format!("{}/", node_name(node, body));
    run(reader, branch(node, name)?, Vec::new(), scope, body, prefix)
}

fn repeat<'p>(
    reader: &mut Reader<'_, 'p>,
    node: &'p NodeProto,
    inputs: Vec<Val>,
    scope: &Scope<'_>,
    body: &Body<'p>,
) -> Result<Vec<Val>, Stop> {
    let graph = branch(node, "body")?;
    let trips = match inputs.first() {
        None | Some(Val::Absent) => i64::MAX,
        Some(v) => number(reader, v, "the trip count")?,
    };
    let mut go = match inputs.get(1) {
        None | Some(Val::Absent) => true,
        Some(v) => truth(reader, v, "the condition")?,
    };
    let mut carried: Vec<Val> = inputs.into_iter().skip(2).collect();
    let scans = graph
        .output
        .len()
        .checked_sub(carried.len() + 1)
        .ok_or_else(|| Reject::malformed("the body has too few outputs"))?;
    let mut collected: Vec<Vec<Val>> = vec![Vec::new(); scans];
    let name = node_name(node, body);
    let mut trip = 0_i64;
    while go && trip < trips {
        let mut arguments = vec![
            Val::constant(format!("{name}/{trip}/iteration"), Tensor::scalar(trip)),
            Val::constant(format!("{name}/{trip}/condition"), truth_tensor(true)),
        ];
        arguments.append(&mut carried);
        let prefix = format!("{name}/{trip}/");
        let mut outputs = run(reader, graph, arguments, scope, body, prefix)?.into_iter();
        if let Some(next) = outputs.next() {
            if matches!(next, Val::Unknown) {
                return Err(Stop::Poisoned);
            }
            go = truth(reader, &next, "the body's condition")?;
        }
        let mut rest: Vec<Val> = outputs.collect();
        let scanned = rest.split_off(rest.len().saturating_sub(scans));
        carried = rest;
        for (list, val) in collected.iter_mut().zip(scanned) {
            list.push(val);
        }
        trip += 1;
        // An endless loop over an empty body adds no nodes, so it needs a bound of its own.
        if trip > 1 << 16 {
            return Err(Reject::unsupported("the loop runs more than 65536 times").into());
        }
    }
    let mut outputs = carried;
    for (i, list) in collected.into_iter().enumerate() {
        outputs.push(stack(reader, &format!("{name}/scan{i}"), list, 0, false)?);
    }
    Ok(outputs)
}

fn truth_tensor(x: bool) -> Tensor {
    Tensor::scalar(i64::from(x)).cast(DType::Bool)
}

/// Values of one type as one along a new axis.
fn stack(
    reader: &mut Reader<'_, '_>,
    name: &str,
    mut list: Vec<Val>,
    axis: i64,
    backward: bool,
) -> Result<Val, Stop> {
    if backward {
        list.reverse();
    }
    if list.iter().any(|v| matches!(v, Val::Unknown)) {
        return Ok(Val::Unknown);
    }
    if list.is_empty() {
        return Err(Reject::unsupported("the result of a loop that never runs").into());
    }
    let mut rows = Vec::with_capacity(list.len());
    let node = NodeProto::default();
    let bindings = crate::attrs::Bindings::new();
    let mut cx = Cx::new(
        0,
        list,
        Vec::new(),
        name.to_owned(),
        "Loop",
        Attrs::new(&node, &bindings),
        &mut reader.build,
        &mut reader.budget,
        &|_, _| None,
    );
    let rank = cx.input_shape(0)?.len() + 1;
    let axis = resolve_axis(axis, rank)?;
    for i in 0..cx.inputs.len() {
        let id = cx.input(i)?;
        let mut shape = cx.shape(id)?;
        shape.insert(axis.min(shape.len()), 1);
        rows.push(cx.reshape(id, &shape)?);
    }
    Ok(Val::Node(cx.emit(Concat { axis }, &rows)?))
}

fn scan<'p>(
    reader: &mut Reader<'_, 'p>,
    node: &'p NodeProto,
    attrs: Attrs<'_, 'p>,
    inputs: Vec<Val>,
    scope: &Scope<'_>,
    body: &Body<'p>,
) -> Result<Vec<Val>, Stop> {
    let graph = branch(node, "body")?;
    if body.opsets.get("").is_some_and(|v| *v < 9) {
        return Err(Reject::unsupported("Scan of operator set 8; export the model anew").into());
    }
    let scanned = attrs.int("num_scan_inputs", 0)?;
    let scanned = usize::try_from(scanned)
        .ok()
        .filter(|n| (1..=inputs.len()).contains(n))
        .ok_or_else(|| Reject::malformed(format!("{scanned} scan inputs")))?;
    let states = inputs.len() - scanned;
    let list =
        |name: &str| -> Result<Vec<i64>, Reject> { Ok(attrs.ints(name)?.unwrap_or(&[]).to_vec()) };
    let (in_axes, in_back) = (list("scan_input_axes")?, list("scan_input_directions")?);
    let (out_axes, out_back) = (list("scan_output_axes")?, list("scan_output_directions")?);
    let at = |l: &[i64], i: usize| l.get(i).copied().unwrap_or(0);
    let mut carried = inputs[..states].to_vec();
    let sequences = &inputs[states..];
    let name = node_name(node, body);
    let empty = NodeProto::default();
    let bindings = crate::attrs::Bindings::new();
    let mut length = None;
    let mut axes = Vec::new();
    for (i, s) in sequences.iter().enumerate() {
        let cx = Cx::new(
            0,
            vec![s.clone()],
            Vec::new(),
            name.clone(),
            "Scan",
            Attrs::new(&empty, &bindings),
            &mut reader.build,
            &mut reader.budget,
            &|_, _| None,
        );
        let shape = cx.input_shape(0)?;
        let axis = resolve_axis(at(&in_axes, i), shape.len())?;
        if *length.get_or_insert(shape[axis]) != shape[axis] {
            return Err(Reject::malformed("the scanned inputs differ in length").into());
        }
        axes.push(axis);
    }
    let outputs = graph
        .output
        .len()
        .checked_sub(states)
        .ok_or_else(|| Reject::malformed("the body has too few outputs"))?;
    let mut collected: Vec<Vec<Val>> = vec![Vec::new(); outputs];
    let length = length.unwrap_or(0);
    for step in 0..length {
        let mut arguments = std::mem::take(&mut carried);
        for (i, s) in sequences.iter().enumerate() {
            let at = if at(&in_back, i) == 1 { length - 1 - step } else { step };
            let mut cx = Cx::new(
                0,
                vec![s.clone()],
                Vec::new(),
                format!("{name}/{step}/slice{i}"),
                "Scan",
                Attrs::new(&empty, &bindings),
                &mut reader.build,
                &mut reader.budget,
                &|_, _| None,
            );
            let x = cx.input(0)?;
            let mut shape = cx.shape(x)?;
            let mut start = vec![0; shape.len()];
            start[axes[i]] = at;
            shape[axes[i]] = 1;
            let step = vec![1; shape.len()];
            let op = paring_ir::ops::Slice { start, len: shape.clone(), step };
            let piece = cx.emit(op, &[x])?;
            shape.remove(axes[i]);
            arguments.push(Val::Node(cx.reshape(piece, &shape)?));
        }
        let prefix = format!("{name}/{step}/");
        let mut rest = run(reader, graph, arguments, scope, body, prefix)?;
        let scanned = rest.split_off(states.min(rest.len()));
        carried = rest;
        for (list, val) in collected.iter_mut().zip(scanned) {
            list.push(val);
        }
    }
    let mut outputs = carried;
    for (i, list) in collected.into_iter().enumerate() {
        let name = format!("{name}/scan{i}");
        outputs.push(stack(reader, &name, list, at(&out_axes, i), at(&out_back, i) == 1)?);
    }
    Ok(outputs)
}
