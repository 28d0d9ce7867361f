//! Between real and stored numbers.

use super::{Read, Write, of};
use crate::error::ReadError;
use crate::schema::{BuiltinOptions, NoOptions};
use paring_ir::ops::{Dequantize, Quantize};

pub(super) const READERS: &[(&str, Read)] = &[
    ("QUANTIZE", |cx| {
        let x = cx.input(0)?;
        if cx.output_type(0)?.quant.is_none() {
            return Err(
                ReadError::malformed("the output has no quantization").at(|| "output 0".into())
            );
        }
        cx.emit(Quantize::default(), &[x])
    }),
    ("DEQUANTIZE", |cx| {
        let x = cx.input(0)?;
        cx.emit(Dequantize {}, &[x])
    }),
    // Constants keep their sparse storage; what reads them sees every element anyway.
    ("DENSIFY", |cx| {
        let x = cx.input(0)?;
        cx.forward(0, x)
    }),
];

pub(super) const WRITERS: &[(super::Key, Write)] = &[
    (of::<Quantize>, |cx| {
        if cx.op::<Quantize>()?.ties_even {
            return Err("the format rounds ties away from zero".to_owned());
        }
        cx.simple("QUANTIZE", Some(BuiltinOptions::QuantizeOptions(Box::new(NoOptions {}))))
    }),
    (of::<Dequantize>, |cx| {
        // The dequantization of depthwise filters is written with what reads them, in its order.
        let graph = cx.export.graph;
        let value = cx.node.outputs().first().map(|v| graph.value(*v));
        let filters = value.is_some_and(|v| {
            let depthwise = |(node, k): &(paring_ir::NodeId, usize)| {
                *k == 1 && super::conv::is_depthwise(graph, graph.node(*node))
            };
            !graph.is_visible(v.id) && v.uses().iter().all(depthwise)
        });
        if filters && cx.known(0).is_ok() {
            return Ok(());
        }
        cx.simple("DEQUANTIZE", Some(BuiltinOptions::DequantizeOptions(Box::new(NoOptions {}))))
    }),
];
