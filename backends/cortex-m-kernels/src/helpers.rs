use std::collections::BTreeSet;

use crate::Isa;

/// The shared C functions, in the order in which they appear in a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Helper {
    Base,
    MulHr,
    ScaleAny,
    Clamp,
    MmParams,
    Pack,
    Mm42,
    Conv,
    Pointwise,
    ConvAny,
    Plane,
    PlaneElement,
    PlaneDw3Plain,
    PlaneDw3S1,
    PlaneDw3S2,
    Channel3x3,
    Depthwise3x3,
    Channel,
    Depthwise,
    Dense8,
    Dense1,
    Add,
    Mul,
    Table,
    Softmax,
    Pool,
    AvgPool,
    MaxPool,
    Copy,
    Quantize,
    Dequantize,
    Requantize,
}

impl Helper {
    pub fn needs(self, isa: Isa) -> &'static [Self] {
        use Helper as H;
        match self {
            H::Base | H::MulHr | H::Clamp | H::MmParams | H::Pack | H::Plane | H::Pool => &[],
            H::ScaleAny | H::Table | H::Copy | H::Dequantize => &[],
            H::Mm42 => &[H::Base, H::MmParams],
            H::Conv | H::Pointwise => &[H::Mm42, H::Pack],
            H::ConvAny | H::Mul | H::Requantize | H::Dense1 => &[H::Base, H::ScaleAny],
            H::PlaneElement => &[H::Plane],
            H::PlaneDw3Plain => &[H::Base, H::PlaneElement],
            H::PlaneDw3S1 | H::PlaneDw3S2 => &[H::PlaneDw3Plain],
            H::Channel3x3 | H::Channel => &[H::Base, H::PlaneElement],
            H::Depthwise3x3 if isa == Isa::Dsp => &[H::Channel3x3],
            H::Depthwise3x3 => &[H::Channel3x3],
            H::Depthwise => &[H::Channel],
            H::Dense8 | H::Softmax | H::Quantize => &[H::Base],
            H::Add => &[H::Base, H::MulHr],
            H::AvgPool | H::MaxPool => &[H::Pool],
        }
    }

    pub fn text(self, isa: Isa, present: &BTreeSet<Self>) -> String {
        let dsp = isa == Isa::Dsp;
        let plain = match self {
            Self::Base => include_str!("c/base.c"),
            Self::MulHr => include_str!("c/mulhr.c"),
            Self::ScaleAny => include_str!("c/requant_any.c"),
            Self::Clamp => include_str!("c/clamp.c"),
            Self::MmParams => include_str!("c/mm_params.c"),
            Self::Pack if dsp => include_str!("c/widen_dsp.c"),
            Self::Pack => include_str!("c/widen_c.c"),
            Self::Mm42 if dsp => include_str!("c/mm_dsp.c"),
            Self::Mm42 => include_str!("c/mm_c.c"),
            Self::Conv => include_str!("c/conv.c"),
            Self::Pointwise => include_str!("c/pointwise.c"),
            Self::ConvAny => include_str!("c/conv_any.c"),
            Self::Plane => include_str!("c/plane.c"),
            Self::PlaneElement if dsp => include_str!("c/plane_dsp.c"),
            Self::PlaneElement => include_str!("c/plane_c.c"),
            Self::PlaneDw3Plain => include_str!("c/plane_dw3_plain.c"),
            Self::PlaneDw3S1 => include_str!("c/plane_dw3_s1.c"),
            Self::PlaneDw3S2 => include_str!("c/plane_dw3_s2.c"),
            Self::Channel3x3 if dsp => {
                let strides =
                    (present.contains(&Self::PlaneDw3S1), present.contains(&Self::PlaneDw3S2));
                let call = match strides {
                    (true, true) => {
                        "if (c->stride_w == 1) {\n        pr_dw3_s1(&d);\n    } else {\n        pr_dw3_s2(&d);\n    }"
                    }
                    (true, false) => "pr_dw3_s1(&d);",
                    _ => "pr_dw3_s2(&d);",
                };
                return include_str!("c/plane_dw3.c").replace("PR_DW3_BY_STRIDE", call);
            }
            Self::Channel3x3 => include_str!("c/plane_channel_3x3_c.c"),
            Self::Channel => include_str!("c/plane_channel.c"),
            Self::Depthwise3x3 => {
                return include_str!("c/plane_driver.c")
                    .replace("PR_NAME", "pr_depthwise_3x3")
                    .replace("PR_CHANNEL", "pr_channel_3x3");
            }
            Self::Depthwise => {
                return include_str!("c/plane_driver.c")
                    .replace("PR_NAME", "pr_depthwise")
                    .replace("PR_CHANNEL", "pr_channel");
            }
            Self::Dense8 => include_str!("c/dense_dsp.c"),
            Self::Dense1 => include_str!("c/dense_c.c"),
            Self::Add => include_str!("c/add.c"),
            Self::Mul => include_str!("c/mul.c"),
            Self::Table => include_str!("c/table.c"),
            Self::Softmax => include_str!("c/softmax.c"),
            Self::Pool => include_str!("c/pool.c"),
            Self::AvgPool => include_str!("c/avg_pool.c"),
            Self::MaxPool => include_str!("c/max_pool.c"),
            Self::Copy => include_str!("c/copy.c"),
            Self::Quantize => include_str!("c/quantize.c"),
            Self::Dequantize => include_str!("c/dequantize.c"),
            Self::Requantize => include_str!("c/requantize.c"),
        };
        plain.to_string()
    }
}
