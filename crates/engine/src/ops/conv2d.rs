use super::wide::Wide;
use super::{Lower, Part, Tail};
use crate::unpack::constant;
use paring_backend::requantize::channel_multipliers;
use paring_ir::ops::Conv2d;
use paring_ir::{Node, ValueId};
use paring_kernels::{Extents, Tile, Window};
use paring_qmath::Rounding;
use paring_runtime::steps::gemm::{Frame, Layout};
use paring_runtime::steps::products::{F16Gemm, F32Gemm, I8Constants, I8Gemm};
use paring_runtime::steps::sparse::{F32Sparse, I8Sparse};
use paring_runtime::steps::winograd::{self, Winograd};
use paring_tensor::DType;

/// The extents of a convolution.
pub(super) struct Geometry {
    pub(super) batch: usize,
    pub(super) input: [usize; 2],
    pub(super) channels: usize,
    pub(super) filters: usize,
    pub(super) kernel: [usize; 2],
    pub(super) out: [usize; 2],
    /// Top, left, bottom, right.
    pub(super) pad: [usize; 4],
}

impl Geometry {
    pub(super) fn window(&self, op: &Conv2d) -> Window {
        self.window_by(op.stride, op.dilation)
    }

    pub(super) fn window_by(&self, stride: [usize; 2], dilation: [usize; 2]) -> Window {
        Window {
            input: self.input,
            channels: self.channels,
            kernel: self.kernel,
            stride,
            dilation,
            pad: [self.pad[0], self.pad[1]],
            out_width: self.out[1],
        }
    }
}

impl Lower<'_> {
    pub(super) fn conv2d(&self, op: &Conv2d, node: &Node, tail: Tail) -> Option<Part> {
        let (&[x, w], bias) = node.inputs().split_first_chunk()?;
        let (bias, y) = (bias.first().copied(), node.outputs()[0]);
        // A node of padding before may be part of this one.
        let padded = self.shape(x)?;
        let before = self.graph.producer(x).filter(|n| self.pads.contains(&n.id));
        let (x, more) = before.and_then(|n| self.zeros_around(n)).unwrap_or((x, [0; 4]));
        let (&[batch, h, width, channels], &[filters, kh, kw, _], &[_, oh, ow, _]) =
            (&*self.shape(x)?, &*self.shape(w)?, &*self.shape(y)?)
        else {
            return None;
        };
        let around = op.padding([padded[1], padded[2]], [kh, kw]);
        let g = Geometry {
            batch,
            input: [h, width],
            channels,
            filters,
            kernel: [kh, kw],
            out: [oh, ow],
            pad: std::array::from_fn(|i| around[i] + more[i]),
        };
        let depthwise = op.groups > 1 && op.groups == channels && filters == channels;
        let half = [x, w, y].iter().all(|v| self.is_half(*v));
        if half || (self.is_f32(x) && self.is_f32(w) && self.is_f32(y)) {
            let weights = self.f32_const(w)?;
            let bias = match bias {
                Some(b) => Some(self.f32_const(b)?),
                None => None,
            };
            let clamp = join(op.activation.bounds(), tail.clamp);
            if depthwise && tail.rest.is_none() {
                return self.real_depthwise(op, &g, x, &weights, bias, clamp, half);
            }
            if half {
                let layout = layout(op, &g, self.kernels.f16_tile(), 8)?;
                let step = F16Gemm::new(self.kernels, layout, &weights, bias.as_deref(), clamp);
                return Some(Part {
                    scratch: step.scratch(),
                    step: step.into(),
                    a: x,
                    b: tail.rest,
                });
            }
            let kept = weights.iter().filter(|w| **w != 0.0).count();
            if let Some(e) = Self::pixels(op, &g, kept).filter(|e| self.kernels.f32_sparse_pays(e))
            {
                let bias = bias.unwrap_or_else(|| vec![0.0; filters]);
                let step = F32Sparse::new(self.kernels, e.rows, channels, &weights, &bias, clamp);
                return Some(Part {
                    scratch: step.scratch(),
                    step: step.into(),
                    a: x,
                    b: tail.rest,
                });
            }
            if let Some(step) = self.winograd(op, &g, &weights, bias.as_deref(), clamp) {
                return Some(Part {
                    scratch: step.scratch(),
                    step: step.into(),
                    a: x,
                    b: tail.rest,
                });
            }
            let layout = layout(op, &g, self.kernels.f32_tile(), 8)?;
            let step = F32Gemm::new(self.kernels, layout, &weights, bias.as_deref(), clamp);
            return Some(Part { scratch: step.scratch(), step: step.into(), a: x, b: tail.rest });
        }
        if self.is_f32(x) {
            let operands = Wide { x, w, bias, y, activation: op.activation, dense: false };
            return self.hybrid(&operands, &g, g.window(op), op.groups);
        }
        if self.ty(x).dtype == DType::U8 {
            return self.u8_conv2d(op, &g, depthwise, x, w, bias, y);
        }
        if self.ty(x).dtype == DType::I16 {
            let operands = Wide { x, w, bias, y, activation: op.activation, dense: false };
            let layout = |tile| layout(op, &g, tile, 8);
            return self.i16_conv(&operands, &g, g.window(op), op.groups, layout);
        }
        let constants = self.i8_constants(x, w, bias, y, filters, op.activation, false)?;
        let weights = self.i8_const(w)?;
        if depthwise {
            return self.i8_depthwise(op, &g, x, &weights, &[], &constants);
        }
        let kept = weights.iter().filter(|w| **w != 0).count();
        if let Some(e) = Self::pixels(op, &g, kept).filter(|e| self.kernels.i8_sparse_pays(e))
            && let Some(step) = I8Sparse::new(self.kernels, e.rows, channels, &weights, &constants)
        {
            return Some(Part { scratch: step.scratch(), step: step.into(), a: x, b: None });
        }
        let layout = layout(op, &g, self.kernels.i8_tile(), 16)?;
        let step = I8Gemm::new(self.kernels, layout, &weights, &constants)?;
        Some(Part { scratch: step.scratch(), step: step.into(), a: x, b: None })
    }

    /// The step with fewer products, where that is faster.
    fn winograd(
        &self,
        op: &Conv2d,
        g: &Geometry,
        weights: &[f32],
        bias: Option<&[f32]>,
        clamp: (f32, f32),
    ) -> Option<Winograd> {
        let plain =
            op.groups == 1 && g.kernel == [3, 3] && op.stride == [1, 1] && op.dilation == [1, 1];
        let [rows, columns] = g.out;
        let e = Extents {
            rows: rows * columns,
            depth: g.channels,
            channels: g.filters,
            weights: weights.len(),
        };
        let squares = rows.div_ceil(4) * columns.div_ceil(4);
        if !plain || !self.kernels.f32_winograd_pays(&e, squares) {
            return None;
        }
        let geometry = winograd::Geometry {
            input: [g.batch, g.input[0], g.input[1]],
            channels: g.channels,
            filters: g.filters,
            pad: [g.pad[0], g.pad[1]],
            out: g.out,
        };
        Winograd::new(self.kernels, geometry, weights, bias, clamp)
    }

    /// The extents of a convolution that is a product pixel by pixel.
    fn pixels(op: &Conv2d, g: &Geometry, weights: usize) -> Option<Extents> {
        let plain = op.groups == 1 && g.kernel == [1, 1] && op.stride == [1, 1] && g.pad == [0; 4];
        let rows = g.batch * g.out[0] * g.out[1];
        plain.then_some(Extents { rows, depth: g.channels, channels: g.filters, weights })
    }

    /// The elements of a constant of `f32` or half precision.
    pub(super) fn f32_const(&self, v: ValueId) -> Option<Vec<f32>> {
        let data = constant(self.graph, v)?;
        matches!(data.dtype(), DType::F32 | DType::F16).then(|| data.dense().to_f32())
    }

    /// The elements of a constant of `i8`, or of `i4` in bytes.
    pub(super) fn i8_const(&self, v: ValueId) -> Option<Vec<i8>> {
        Some(self.graph.constant(v)?.dense().view::<i8>().ok()?.into_owned())
    }

    /// The integer constants of a layer of `i8`; `None` where it is no such layer.
    pub(super) fn i8_constants(
        &self,
        x: ValueId,
        w: ValueId,
        bias: Option<ValueId>,
        y: ValueId,
        filters: usize,
        activation: paring_ir::ops::Activation,
        dense: bool,
    ) -> Option<I8Constants> {
        let ((_, x_zero), (y_scale, zero_point)) = (self.i8_quant(x)?, self.i8_quant(y)?);
        let wt = self.ty(w);
        if !matches!(wt.dtype, DType::I8 | DType::I4) || !wt.quant.as_ref()?.is_symmetric() {
            return None;
        }
        let multipliers = if dense {
            paring_backend::requantize::dense_multipliers(self.ty(x), wt, self.ty(y), filters)
        } else {
            channel_multipliers(self.ty(x), wt, self.ty(y), filters)
        };
        let bias = match bias {
            None => vec![0; filters],
            Some(b) if self.ty(b).dtype == DType::I32 => {
                self.graph.constant(b)?.dense().view::<i32>().ok()?.into_owned()
            }
            Some(_) => return None,
        };
        let (low, high) = activation.quantized_bounds(y_scale, zero_point, DType::I8);
        Some(I8Constants {
            x_zero,
            bias,
            multipliers: multipliers.ok()?,
            // Convolutions round twice whatever the run's rounding.
            rounding: Rounding::Double,
            zero_point,
            bounds: (low as i8, high as i8),
        })
    }
}

/// Both clamps, the first one applied first.
pub(super) fn join(first: (f32, f32), second: (f32, f32)) -> (f32, f32) {
    let cut = |x: f32| x.max(second.0).min(second.1);
    (cut(first.0), cut(first.1))
}

/// Where a convolution finds its pieces. A window's row is one piece where the pixels have at most
/// `few` channels.
pub(super) fn layout(op: &Conv2d, g: &Geometry, tile: Tile, few: usize) -> Option<Layout> {
    let ([kh, kw], [h, w], [oh, ow], c) = (g.kernel, g.input, g.out, g.channels);
    let [top, left, _, _] = g.pad;
    let rows = oh * ow;
    let merge = op.groups == 1 && kw > 1 && c <= few && op.dilation[1] == 1;
    let base = |at, taps, depth, frame| Layout {
        samples: g.batch,
        sample: h * w * c,
        rows,
        taps,
        depth,
        channels: g.filters,
        groups: op.groups,
        at,
        frame,
        width: ow,
        again: 0,
        shift: 0,
    };
    if merge {
        let size = [
            (top + h).max((oh - 1) * op.stride[0] + (kh - 1) * op.dilation[0] + 1),
            (left + w).max((ow - 1) * op.stride[1] + kw),
        ];
        let padded = g.pad != [0; 4] || size != g.input;
        let frame = padded.then_some(Frame { image: [h, w, c], before: [top, left], size });
        let pitch = if padded { size[1] } else { w };
        let at = Layout::table(tile, rows, kh, |row, ky| {
            let (y, x) = (row / ow * op.stride[0] + ky * op.dilation[0], row % ow * op.stride[1]);
            Some((y * pitch + x) * c)
        })?;
        return Some(base(at, kh, kw * c, frame));
    }
    let window = g.window(op);
    let at = Layout::table(tile, rows, kh * kw, |row, tap| {
        let y = window.at(0, row / ow, tap / kw)?;
        let x = window.at(1, row % ow, tap % kw)?;
        Some((y * w + x) * c)
    })?;
    Some(base(at, kh * kw, c / op.groups, None))
}
