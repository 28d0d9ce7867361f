use paring_ir::ops::{Dequantize, Quantize};
use paring_ir::{Def, Graph, Patch, ValueId};
use paring_pass::PassError;
use paring_tensor::{DType, Quant, TensorType};

/// The network with every value that has a calibrated range rounded to integers and back, as it will be
/// when it is quantized. With `f32` it stays as it is.
///
/// # Errors
/// If no value has a calibrated range.
pub fn rounded(graph: &Graph, dtype: DType) -> Result<Graph, PassError> {
    let mut working = graph.clone();
    if dtype == DType::F32 {
        return Ok(working);
    }
    let values: Vec<(ValueId, (f32, f32))> = graph
        .values()
        .filter(|v| v.ty.dtype == DType::F32 && !matches!(v.def(), Def::Const(_)))
        .filter(|v| !v.uses().is_empty())
        .filter_map(|v| Some((v.id, v.range?)))
        .collect();
    if values.is_empty() {
        return Err(PassError::Input(
            "no value has a calibrated range to round it by; run `calibrate` before, or set \
             `activations = \"f32\"`"
                .into(),
        ));
    }
    for (v, range) in values {
        round_value(&mut working, v, range, dtype)?;
    }
    Ok(working)
}

/// Rounds one value of a network to integers of a range and back, for all that read it.
///
/// # Errors
/// If the value is not one of real numbers.
pub fn round_value(
    graph: &mut Graph,
    v: ValueId,
    (low, high): (f32, f32),
    dtype: DType,
) -> Result<(), PassError> {
    let value = graph.value(v);
    let ty = TensorType {
        dtype,
        shape: value.ty.shape.clone(),
        quant: Some(Quant::covering(low, high, dtype)),
    };
    let name = value.name.clone();
    let mut patch = Patch::new(graph, "round");
    let stored = patch.typed_node(format!("{name}/stored"), Quantize::default(), &[v], vec![ty]);
    let real = patch.node(graph, format!("{name}/real"), Dequantize::default(), &stored)?;
    patch.replace(v, real[0]);
    graph.apply(patch)?;
    Ok(())
}
