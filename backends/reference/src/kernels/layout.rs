//! Ops that give the same elements another shape or order.

use crate::kernel::{Call, Done, room};
use crate::register_kernel;
use crate::walk::{restride, strides};
use paring_ir::ops::{
    BroadcastTo, DepthOrder, DepthToSpace, Reshape, Reverse, Slice, SpaceToDepth, Tile, Transpose,
};
use paring_tensor::Tensor;

register_kernel!(Reshape, |_, types| super::anything(types), |_, call| {
    Ok(vec![call.inputs[0].reshape(call.out_shape(0)?)?])
});

register_kernel!(Transpose, |_, types| super::anything(types), |op, call| {
    let own = strides(call.shape(0));
    let steps: Vec<isize> = op.perm.iter().map(|p| own[*p]).collect();
    Ok(vec![restride(&call.inputs[0], &call.out_shape(0)?, &steps, 0)?])
});

register_kernel!(Slice, |_, types| super::anything(types), |op, call| {
    let own = strides(call.shape(0));
    let start = own.iter().zip(&op.start).map(|(s, at)| s * *at as isize).sum();
    let steps: Vec<isize> = own.iter().zip(&op.step).map(|(s, step)| s * *step as isize).collect();
    Ok(vec![restride(&call.inputs[0], &call.out_shape(0)?, &steps, start)?])
});

register_kernel!(BroadcastTo, |_, types| super::anything(types), |_, call| {
    let out = call.out_shape(0)?;
    let steps = crate::walk::broadcast_strides(call.shape(0), &out);
    Ok(vec![restride(&call.inputs[0], &out, &steps, 0)?])
});

register_kernel!(Tile, |_, types| super::anything(types), |op, call| {
    // Seen as [repeat, extent] for each axis, the repeats do not move.
    let own = strides(call.shape(0));
    let (mut shape, mut steps) = (Vec::new(), Vec::new());
    for (axis, step) in own.iter().enumerate() {
        shape.extend([op.repeats[axis], call.shape(0)[axis]]);
        steps.extend([0, *step]);
    }
    let tiled = restride(&call.inputs[0], &shape, &steps, 0)?;
    Ok(vec![tiled.reshape(call.out_shape(0)?)?])
});

register_kernel!(DepthToSpace, |_, types| super::anything(types), |op, call| {
    let &[n, h, w, c] = call.shape(0) else { return Err("no image".to_owned().into()) };
    let (b, rest) = (op.block, c / (op.block * op.block));
    // As [n, h, row, w, column, channel].
    let (row, column, channel) = match op.order {
        DepthOrder::Dcr => (b * rest, rest, 1),
        DepthOrder::Crd => (b, 1, b * b),
    };
    let steps = [h * w * c, w * c, row, c, column, channel].map(|s| s as isize);
    let y = restride(&call.inputs[0], &[n, h, b, w, b, rest], &steps, 0)?;
    Ok(vec![y.reshape(call.out_shape(0)?)?])
});

register_kernel!(SpaceToDepth, |_, types| super::anything(types), |op, call| {
    let &[n, h, w, c] = call.shape(0) else { return Err("no image".to_owned().into()) };
    let b = op.block;
    // As [n, h / b, w / b, row, column, channel].
    let steps = [h * w * c, b * w * c, b * c, w * c, c, 1].map(|s| s as isize);
    let y = restride(&call.inputs[0], &[n, h / b, w / b, b, b, c], &steps, 0)?;
    Ok(vec![y.reshape(call.out_shape(0)?)?])
});

register_kernel!(Reverse, |_, types| super::anything(types), reverse);

fn reverse(op: &Reverse, call: &Call<'_>) -> Done {
    let shape = call.shape(0);
    let own = strides(shape);
    let Some(batch_axis) = op.batch_axis else {
        let mut steps = own.clone();
        steps[op.axis] = -own[op.axis];
        let start = own[op.axis] * (shape[op.axis] as isize - 1).max(0);
        return Ok(vec![restride(&call.inputs[0], shape, &steps, start)?]);
    };
    let lengths = call.inputs[1].to_i64();
    let extent = shape[op.axis];
    for len in &lengths {
        if usize::try_from(*len).map_or(true, |n| n > extent) {
            return Err(crate::Fault::Data(format!("a length of {len} in an axis of {extent}")));
        }
    }
    let x = &call.inputs[0];
    let size = x.dtype().size();
    let mut bytes: Vec<u8> = room(x.bytes().len())?;
    let total = x.len();
    for i in 0..total {
        let index = |axis: usize| (i / own[axis] as usize) % shape[axis];
        let (at, len) = (index(op.axis), lengths[index(batch_axis)] as usize);
        let step = own[op.axis] as usize;
        let from = if at < len { i - at * step + (len - 1 - at) * step } else { i };
        bytes.extend_from_slice(&x.bytes()[from * size..(from + 1) * size]);
    }
    Ok(vec![Tensor::new(x.dtype(), shape, bytes.into())?])
}
