//! Small graphs: the cases of the op suite, and what formats store in ways of their own.

use paring_ir::Graph;
use paring_ir::text::{fill, parse};
use paring_tensor::Tensor;

/// A graph and inputs for it.
pub struct Case {
    /// `op/what`.
    pub name: String,
    /// The graph.
    pub graph: Graph,
    /// Its inputs.
    pub inputs: Vec<Tensor>,
}

/// All graphs.
pub fn cases() -> Vec<Case> {
    let suite = paring_opsuite::cases().into_iter();
    let mut all: Vec<Case> =
        suite.map(|c| Case { name: c.name, graph: c.graph, inputs: c.inputs }).collect();
    all.extend(STORED.iter().map(|(name, text)| {
        let graph = parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let inputs = graph.inputs().iter().enumerate().map(|(i, port)| {
            let ty = graph.ty(port.value);
            fill(i as u64 + 1, ty.dtype, &ty.shape.fixed().unwrap()).unwrap()
        });
        Case { name: (*name).to_owned(), inputs: inputs.collect(), graph }
    }));
    all
}

/// Storage of constants.
const STORED: [(&str, &str); 9] = [
    (
        "stored/int4_dense",
        r#"#q0 = q(axis=0, [0.5, 0.25, 0.125, 0.0625])
graph @g {
  %x = input : i8[2,15] q(0.1, 3)
  %w = const fill(seed=1) : i4[4,15] #q0
  %y = dense(%x, %w) { activation = "relu" } : i8[2,4] q(0.9, -128)
  output %y
}
"#,
    ),
    (
        "stored/int4_conv",
        r#"#q0 = q(axis=0, [0.5, 0.25, 0.125, 0.0625])
#q1 = q(axis=0, [0.05, 0.025, 0.0125, 0.00625])
graph @g {
  %x = input : i8[1,6,5,3] q(0.1, 3)
  %w = const fill(seed=1) : i4[4,3,3,3] #q0
  %b = const fill(seed=2) : i32[4] #q1
  %y = conv2d(%x, %w, %b) { groups = 1, pad = "same", stride = [1, 1] } : i8[1,6,5,4] q(0.9, -5)
  output %y
}
"#,
    ),
    (
        "stored/int16x8_conv",
        r#"#q0 = q(axis=0, [0.5, 0.25, 0.125, 0.0625])
#q1 = q(axis=0, [0.005, 0.0025, 0.00125, 0.000625])
graph @g {
  %x = input : i16[1,6,5,3] q(0.01, 0)
  %w = const fill(seed=1) : i8[4,3,3,3] #q0
  %b = const [5, -1000, 70, 12] : i64[4] #q1
  %y = conv2d(%x, %w, %b) { groups = 1, pad = "same", stride = [2, 2] } : i16[1,3,3,4] q(13.0, 0)
  output %y
}
"#,
    ),
    (
        "stored/int16x8_depthwise",
        r#"#q0 = q(axis=0, [0.5, 0.25, 0.125])
graph @g {
  %x = input : i16[1,6,5,3] q(0.01, 0)
  %w = const fill(seed=1) : i8[3,3,3,1] #q0
  %y = conv2d(%x, %w) { groups = 3, pad = "valid", stride = [1, 1] } : i16[1,4,3,3] q(11.0, 0)
  output %y
}
"#,
    ),
    (
        "stored/int16x8_dense",
        r#"graph @g {
  %x = input : i16[2,16] q(0.01, 0)
  %w = const fill(seed=1) : i8[4,16] q(0.5, 0)
  %b = const [5, -1000, 70, 12] : i64[4] q(0.005, 0)
  %y = dense(%x, %w, %b) : i16[2,4] q(9.0, 0)
  output %y
}
"#,
    ),
    (
        "stored/half_weights",
        r#"graph @g {
  %x = input : f32[1,6,5,3]
  %w = const fill(seed=1) : f16[4,3,3,3]
  %wd = dequantize(%w) : f32[4,3,3,3]
  %b = const fill(seed=2) : f16[4]
  %bd = dequantize(%b) : f32[4]
  %y = conv2d(%x, %wd, %bd) { groups = 1, pad = "same", stride = [1, 1] } : f32[1,6,5,4]
  output %y
}
"#,
    ),
    (
        "stored/sparse_float",
        r#"graph @g {
  %x = input : f32[1,16]
  %s = const sparse(block = [1, 1], fill = 0, mask = [1, 2, 4, 8, 16, 32, 64, 128], values = fill(seed=1) : f32[8]) : f32[4,16]
  %y = dense(%x, %s) : f32[1,4]
  output %y
}
"#,
    ),
    (
        "stored/sparse_blocks",
        r#"graph @g {
  %x = input : f32[1,16]
  %b = const sparse(block = [1, 4], fill = 0, mask = [165, 15], values = fill(seed=2) : f32[32]) : f32[4,16]
  %y = dense(%x, %b) : f32[1,4]
  output %y
}
"#,
    ),
    (
        "stored/sparse_int8",
        r#"graph @g {
  %x = input : i8[1,16] q(0.1, 3)
  %b = const sparse(block = [1, 4], fill = 0, mask = [165, 15], values = fill(seed=2) : i8[32]) : i8[4,16] q(0.5, 0)
  %y = dense(%x, %b) : i8[1,4] q(5.0, 7)
  output %y
}
"#,
    ),
];
