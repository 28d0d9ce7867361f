//! One of two values, and other functions of elements with a condition or another type.

use super::{Read, Write, axis, of, options};
use crate::error::{ReadError, Result};
use crate::export::int;
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, CastOptions, CumsumOptions, NoOptions};
use paring_ir::ops::{Cast, CumSum, Reshape, Select};

pub(super) const READERS: &[(&str, Read)] = &[
    ("SELECT", |cx| {
        let mut condition = cx.input(0)?;
        let (a, b) = (cx.input(1)?, cx.input(2)?);
        // A vector of conditions goes with the first axis, not the last.
        let rank = cx.shape(a)?.len();
        if let (&[n], 2..) = (cx.shape(condition)?.as_slice(), rank) {
            let mut shape = vec![1; rank];
            shape[0] = n;
            condition = cx.before("condition", Reshape::to(&shape), &[condition])?;
        }
        cx.emit(Select {}, &[condition, a, b])
    }),
    ("SELECT_V2", |cx| {
        let inputs = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
        cx.emit(Select {}, &inputs)
    }),
    ("CAST", |cx| {
        let x = cx.input(0)?;
        let to = cx.output_info(0)?.dtype()?;
        cx.emit(Cast { to }, &[x])
    }),
    ("CUMSUM", cumsum),
];

fn cumsum(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let given = options!(cx, CumsumOptions);
    let (exclusive, reverse) = match &given {
        Some(options) => (options.exclusive()?, options.reverse()?),
        None => (false, false),
    };
    let x = cx.input(0)?;
    if cx.ty(x).quant.is_some() {
        return Err(ReadError::unsupported("a running sum of quantized numbers"));
    }
    let axis = axis(cx.int(1)?, cx.shape(x)?.len())?;
    cx.emit(CumSum { axis, exclusive, reverse }, &[x])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[
    (of::<Select>, |cx| {
        cx.simple("SELECT_V2", Some(BuiltinOptions::SelectV2Options(Box::new(NoOptions {}))))
    }),
    (of::<Cast>, |cx| {
        let options = CastOptions {
            in_data_type: crate::export::type_code(cx.input_type(0)?.dtype),
            out_data_type: crate::export::type_code(cx.op::<Cast>()?.to),
        };
        cx.simple("CAST", Some(BuiltinOptions::CastOptions(Box::new(options))))
    }),
    (of::<CumSum>, |cx| {
        let op: &CumSum = cx.op()?;
        let inputs = vec![cx.input(0)?, cx.scalar(int(op.axis)?)?];
        let output = cx.output(0)?;
        let options = CumsumOptions { exclusive: op.exclusive, reverse: op.reverse };
        let options = BuiltinOptions::CumsumOptions(Box::new(options));
        cx.operator("CUMSUM", Some(options), inputs, vec![output])
    }),
];
