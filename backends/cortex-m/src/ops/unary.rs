use paring_backend::{ExecOptions, backend_named};
use paring_cortex_m_kernels::Table;
use paring_ir::Graph;
use paring_ir::ops::Unary;
use paring_tensor::{Tensor, TensorType};

use crate::lower::Site;

/// A function of one int8 number is a table; the reference interpreter fills it, so it says what the
/// interpreter says.
pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: Unary = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    site.int8("the input", x)?;
    site.int8("the output", y)?;
    let count = site.shape(y)?.iter().product();
    let results = all(&op, site.ty(x), site.ty(y))?;
    let values = results.try_into().map_err(|_| "the table is not full".to_string())?;
    site.call_on_input(&Table { count, values })
}

/// The results for -128 to 127.
fn all(op: &Unary, x: &TensorType, y: &TensorType) -> Result<Vec<i8>, String> {
    let every = TensorType { shape: [256].into(), ..x.clone() };
    let results = TensorType { shape: [256].into(), ..y.clone() };
    let mut graph = Graph::new("table");
    let input = graph.add_input("x", every).map_err(|e| e.to_string())?;
    let output = graph
        .add_typed_node("y", op.clone(), &[input], vec![("y".into(), results)])
        .map_err(|e| e.to_string())?;
    graph.add_output("y", output[0]);
    let executor = backend_named("reference")?
        .executor(ExecOptions::default())
        .ok_or("the reference interpreter that fills the table does not run")?;
    let verified = graph.verified().map_err(|e| e.to_string())?;
    let mut session = executor.prepare(verified).map_err(|e| e.to_string())?;
    let numbers: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    let numbers = Tensor::from_vec([256], numbers).map_err(|e| e.to_string())?;
    let outputs = session.run(&[numbers]).map_err(|e| e.to_string())?;
    let table = outputs[0].view::<i8>().map_err(|e| e.to_string())?;
    Ok(table.into_owned())
}
