use paring_ir::ops::{Binary, BinaryFn, Unary};
use paring_ir::{Graph, GraphError, Node, Patch, ValueId};
use paring_pass::{Verdict, consts};
use paring_tensor::DType;

/// How far a constant of a pattern may be from its definition, relatively: some models carry them
/// with seven digits, some in half precision.
const SLACK: f32 = 1e-3;

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= SLACK * b.abs()
}

/// Replaces the product that frameworks write for an activation by the activation.
pub(crate) fn recognise(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let product = node
        .op_as::<Binary>()
        .is_some_and(|b| matches!(b.f, BinaryFn::Mul | BinaryFn::Div) && b.activation.is_none());
    let &output = &node.outputs()[0];
    if !product || graph.ty(output).dtype != DType::F32 {
        return Ok(Verdict::NoMatch);
    }
    let mut all = Product::default();
    all.gather(graph, output, None, 0);
    for &factor in &all.factors {
        for (x, kind) in gates(graph, factor) {
            if let Some(op) = complete(graph, output, factor, x, kind)
                && graph.ty(x) == graph.ty(output)
            {
                let mut patch = Patch::new(graph, "recognise-activation");
                let new = patch.node(graph, &node.name, op, &[x])?;
                patch.replace(output, new[0]);
                return Ok(Verdict::Patch(patch));
            }
        }
    }
    Ok(Verdict::NoMatch)
}

/// A product of values and a constant.
struct Product {
    factors: Vec<ValueId>,
    constant: f32,
}

impl Default for Product {
    fn default() -> Self {
        Self { factors: Vec::new(), constant: 1.0 }
    }
}

impl Product {
    /// Takes a value apart into what it is the product of; `whole` is not taken apart.
    fn gather(&mut self, graph: &Graph, v: ValueId, whole: Option<ValueId>, depth: usize) {
        if let Some(c) = consts::splat(graph, v) {
            self.constant *= c;
            return;
        }
        let parts = graph.producer(v).filter(|_| Some(v) != whole && depth < 4).and_then(|n| {
            let b = n.op_as::<Binary>().filter(|b| b.activation.is_none())?;
            match (b.f, n.inputs()) {
                (BinaryFn::Mul, &[a, b]) => Some((a, b, false)),
                (BinaryFn::Div, &[a, b]) if consts::splat(graph, b).is_some() => Some((a, b, true)),
                _ => None,
            }
        });
        match parts {
            Some((a, b, false)) => {
                self.gather(graph, a, whole, depth + 1);
                self.gather(graph, b, whole, depth + 1);
            }
            Some((a, b, true)) => {
                self.gather(graph, a, whole, depth + 1);
                self.constant /= consts::splat(graph, b).unwrap_or(f32::NAN);
            }
            None => self.factors.push(v),
        }
    }
}

/// What a factor that depends on `x` alone may be.
#[derive(Clone, Copy)]
enum Gate {
    Sigmoid,
    /// `clamp(x / 6 + 1/2, 0, 1)`
    HardSigmoid,
    /// `clamp(x + 3, 0, 6)`
    Relu6OfSum,
    TanhOfSoftplus,
    /// `1 + erf(x / sqrt(2))`
    Erf,
    /// `1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))`
    Tanh,
}

fn unary(graph: &Graph, v: ValueId) -> Option<(&Unary, ValueId)> {
    let node = graph.producer(v)?;
    Some((node.op_as::<Unary>()?, *node.inputs().first()?))
}

/// `a + constant`, as `(a, constant)`.
fn sum(graph: &Graph, v: ValueId) -> Option<(ValueId, f32)> {
    let node = graph.producer(v)?;
    let b = node.op_as::<Binary>().filter(|b| b.f == BinaryFn::Add && b.activation.is_none());
    b?;
    let &[a, b] = node.inputs() else { return None };
    match (consts::splat(graph, a), consts::splat(graph, b)) {
        (None, Some(c)) => Some((a, c)),
        (Some(c), None) => Some((b, c)),
        _ => None,
    }
}

/// `a * constant` or `a / constant`, as `(a, factor)`.
fn scaled_by(graph: &Graph, v: ValueId) -> Option<(ValueId, f32)> {
    let node = graph.producer(v)?;
    let f = node.op_as::<Binary>().filter(|b| b.activation.is_none())?.f;
    let &[a, b] = node.inputs() else { return None };
    match (f, consts::splat(graph, a), consts::splat(graph, b)) {
        (BinaryFn::Mul, None, Some(c)) => Some((a, c)),
        (BinaryFn::Mul, Some(c), None) => Some((b, c)),
        (BinaryFn::Div, None, Some(c)) => Some((a, 1.0 / c)),
        _ => None,
    }
}

fn gates(graph: &Graph, v: ValueId) -> Vec<(ValueId, Gate)> {
    let mut found = Vec::new();
    match unary(graph, v) {
        Some((Unary::Sigmoid, x)) => found.push((x, Gate::Sigmoid)),
        Some((Unary::HardSigmoid { alpha, beta }, x))
            if close(*alpha, 1.0 / 6.0) && close(*beta, 0.5) =>
        {
            found.push((x, Gate::HardSigmoid));
        }
        Some((Unary::Tanh, inner)) => {
            if let Some((Unary::Softplus, x)) = unary(graph, inner) {
                found.push((x, Gate::TanhOfSoftplus));
            }
        }
        Some((clamp, inner)) => {
            let is_relu6 = match clamp {
                Unary::Relu6 => true,
                Unary::Clip { min, max } => (*min, *max) == (0.0, 6.0),
                _ => false,
            };
            if let Some((x, c)) = sum(graph, inner).filter(|_| is_relu6)
                && close(c, 3.0)
            {
                found.push((x, Gate::Relu6OfSum));
            }
        }
        None => {}
    }
    if let Some((inner, _)) = sum(graph, v).filter(|(_, c)| close(*c, 1.0)) {
        match unary(graph, inner) {
            Some((Unary::Erf, scaled)) => {
                if let Some((x, c)) = scaled_by(graph, scaled)
                    && close(c, std::f32::consts::FRAC_1_SQRT_2)
                {
                    found.push((x, Gate::Erf));
                }
            }
            Some((Unary::Tanh, inner)) => {
                let mut p = Product::default();
                p.gather(graph, inner, None, 0);
                if let [cubic] = p.factors[..]
                    && close(p.constant, 0.797_884_6)
                    && let Some(x) = cubic_of(graph, cubic)
                {
                    found.push((x, Gate::Tanh));
                }
            }
            _ => {}
        }
    }
    found
}

/// The `x` of `x + 0.044715 x^3`.
fn cubic_of(graph: &Graph, v: ValueId) -> Option<ValueId> {
    let node = graph.producer(v)?;
    node.op_as::<Binary>().filter(|b| b.f == BinaryFn::Add && b.activation.is_none())?;
    let &[a, b] = node.inputs() else { return None };
    let is_cube = |cube: ValueId, x: ValueId| {
        let mut p = Product::default();
        p.gather(graph, cube, Some(x), 0);
        let power = |v: ValueId| {
            let n = graph.producer(v)?;
            n.op_as::<Binary>().filter(|b| b.f == BinaryFn::Pow)?;
            (n.inputs()[0] == x).then(|| consts::splat(graph, n.inputs()[1]))?
        };
        let cubed = match p.factors[..] {
            [a, b, c] => [a, b, c] == [x; 3],
            [one] => power(one) == Some(3.0),
            _ => false,
        };
        cubed && close(p.constant, 0.044_715)
    };
    if is_cube(b, a) { Some(a) } else { is_cube(a, b).then_some(b) }
}

/// The activation that the whole product is, if beside the gate there is only what it takes.
fn complete(
    graph: &Graph,
    output: ValueId,
    gate: ValueId,
    x: ValueId,
    kind: Gate,
) -> Option<Unary> {
    let mut p = Product::default();
    p.gather(graph, output, Some(x), 0);
    let mut rest = p.factors.clone();
    rest.remove(rest.iter().position(|f| *f == gate)?);
    match (kind, rest.as_slice()) {
        (Gate::Relu6OfSum, []) if close(p.constant, 1.0 / 6.0) => {
            Some(Unary::HardSigmoid { alpha: 1.0 / 6.0, beta: 0.5 })
        }
        (_, [only]) if *only == x => match kind {
            Gate::Sigmoid if close(p.constant, 1.0) => Some(Unary::Silu),
            Gate::HardSigmoid if close(p.constant, 1.0) => Some(Unary::HardSwish),
            Gate::Relu6OfSum if close(p.constant, 1.0 / 6.0) => Some(Unary::HardSwish),
            Gate::TanhOfSoftplus if close(p.constant, 1.0) => Some(Unary::Mish),
            Gate::Erf if close(p.constant, 0.5) => Some(Unary::Gelu { tanh: false }),
            Gate::Tanh if close(p.constant, 0.5) => Some(Unary::Gelu { tanh: true }),
            _ => None,
        },
        _ => None,
    }
}
