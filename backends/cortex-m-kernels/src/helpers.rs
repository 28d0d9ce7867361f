use std::collections::BTreeSet;

use crate::packed::{Packing, decoder};
use crate::{Coding, Isa};

/// The shared C functions, in the order in which they appear in a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Helper {
    Base,
    Helium,
    MulHr,
    RequantLeft,
    /// Some product's multiplier is a half or more.
    Left,
    MmScale,
    ScaleAny,
    Clamp,
    Move,
    MmParams,
    Pack,
    Mm42,
    Mm42Any,
    /// Loops of the product are unrolled far.
    Mm42Long,
    Mm42Relu,
    MmChoice,
    Pairs,
    MmEnd,
    MmCoded,
    Product(Coding),
    Windows,
    Conv,
    Strip,
    ConvOf(Coding),
    Codes,
    Decode(Packing),
    ConvPacked,
    Pointwise,
    PointwiseOf(Coding),
    ConvAny,
    Plane,
    PlaneElement,
    ChannelLeft,
    Gather,
    PlaneDw3Plain,
    PlaneDw3S1,
    PlaneDw3S1Relu,
    PlaneDw3PairsRelu,
    PlaneDw3S2,
    PlaneDw3S2Relu,
    Channel3x3,
    Depthwise3x3,
    PlaneWide,
    PlaneDw5S1,
    PlaneDw5S2,
    PlaneDw7S1,
    PlaneDw7S2,
    ChannelWide,
    DepthwiseWide,
    Channel,
    Depthwise,
    Dense8Params,
    Dense8(Coding),
    Dense8Left(Coding),
    Dense8Each(Coding),
    Dense1,
    Add,
    Mul,
    Table,
    Exp,
    Softmax,
    Pool,
    AvgPool,
    MaxPool,
    Mean,
    Copy,
    Quantize,
    QuantizeEven,
    Dequantize,
    Requantize,
    Rows,
    Patches,
    Base16,
    ScaleSmall,
    Wide(Wide),
}

/// What there is for 16-bit activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wide {
    Clamp,
    Add,
    Mul,
    Mean,
    AvgPool,
    MaxPool,
    Quantize,
    QuantizeEven,
    Dequantize,
    /// From 8 bits.
    Widen,
    /// To 8 bits.
    Narrow,
    Requantize,
    Softmax,
    Window,
    Products,
    Conv,
    Depthwise,
}

impl Helper {
    pub fn needs(self, isa: Isa) -> &'static [Self] {
        use Helper as H;
        match self {
            H::Base
            | H::Helium
            | H::MulHr
            | H::Clamp
            | H::Move
            | H::MmParams
            | H::Plane
            | H::Pool => &[],
            H::RequantLeft => &[H::Base],
            H::Left => &[H::MmScale, H::RequantLeft],
            H::ChannelLeft => &[H::RequantLeft, H::PlaneElement],
            H::MmScale => &[H::Base],
            H::ScaleAny | H::Table | H::Copy | H::Dequantize => &[],
            H::Pack => &[H::Helium, H::MmParams],
            H::Mm42 => &[H::MmScale, H::Helium, H::MmParams],
            H::Mm42Any | H::Mm42Relu => &[H::Mm42, H::MmChoice],
            H::MmChoice => &[],
            H::Conv if isa == Isa::Dsp => &[H::Move, H::Windows],
            H::Conv => &[H::Move, H::Pack],
            H::Windows => &[H::Pack],
            H::Strip => &[H::Conv],
            H::Pointwise if isa == Isa::Helium => &[],
            H::Pointwise => &[H::Pack],
            H::ConvOf(c) => match c {
                Coding::Plain => &[H::Conv, H::Product(Coding::Plain)],
                Coding::Nibbles => &[H::Conv, H::Product(Coding::Nibbles)],
                Coding::Palette => &[H::Conv, H::Product(Coding::Palette)],
                Coding::Sparse => &[H::Conv, H::Product(Coding::Sparse)],
                Coding::SparsePalette => &[H::Conv, H::Product(Coding::SparsePalette)],
                Coding::Winograd => &[H::Base, H::MulHr, H::Move],
                Coding::Codes(_) | Coding::ChannelCodes(_) | Coding::Prefix => &[H::ConvPacked],
            },
            H::Codes => &[H::Conv],
            H::Decode(_) => &[H::Codes],
            H::ConvPacked => &[H::Codes, H::Mm42Any],
            H::PointwiseOf(c) => match c {
                Coding::Plain => &[H::Pointwise, H::Product(Coding::Plain)],
                Coding::Nibbles => &[H::Pointwise, H::Product(Coding::Nibbles)],
                Coding::Palette => &[H::Pointwise, H::Product(Coding::Palette)],
                Coding::Sparse => &[H::Pointwise, H::Product(Coding::Sparse)],
                Coding::SparsePalette => &[H::Pointwise, H::Product(Coding::SparsePalette)],
                Coding::Winograd | Coding::Codes(_) | Coding::ChannelCodes(_) | Coding::Prefix => {
                    &[]
                }
            },
            H::Product(Coding::Plain) => &[H::MmChoice],
            H::Product(Coding::Winograd) => &[],
            H::Product(_) if isa != Isa::Dsp => &[H::Mm42],
            H::Product(Coding::Nibbles | Coding::Sparse) => &[H::Mm42, H::MmEnd],
            H::Product(_) => &[H::Mm42, H::MmEnd, H::MmCoded, H::Pairs],
            H::Pairs | H::MmEnd | H::MmCoded => &[],
            H::ConvAny | H::Mul | H::Mean | H::Requantize | H::Dense1 => &[H::Base, H::ScaleAny],
            H::PlaneElement => &[H::Plane, H::Helium],
            H::PlaneDw3Plain => &[H::Base, H::PlaneElement],
            H::PlaneDw3PairsRelu => &[H::PlaneDw3S1Relu],
            H::Mm42Long => &[H::Mm42Relu],
            H::PlaneDw3S1 | H::PlaneDw3S1Relu | H::PlaneDw3S2 | H::PlaneDw3S2Relu => {
                &[H::PlaneDw3Plain]
            }
            H::PlaneWide => &[H::Base, H::PlaneElement],
            H::PlaneDw5S1 | H::PlaneDw5S2 | H::PlaneDw7S1 | H::PlaneDw7S2 => &[H::PlaneWide],
            H::ChannelWide => &[H::PlaneElement],
            H::DepthwiseWide => &[H::ChannelWide, H::Gather, H::Move],
            H::Channel3x3 | H::Channel => &[H::Base, H::PlaneElement],
            H::Gather => &[],
            H::Depthwise3x3 if isa == Isa::Helium => &[H::PlaneElement],
            H::Depthwise3x3 => &[H::Channel3x3, H::Gather, H::Move],
            H::Depthwise => &[H::Channel, H::Gather, H::Move],
            H::Dense8Params => &[H::Base, H::Helium],
            H::Dense8(Coding::Palette) | H::Dense8Left(Coding::Palette) => {
                &[H::Dense8Params, H::Pairs]
            }
            H::Dense8Each(Coding::Palette) => &[H::Dense8Params, H::Pairs, H::MmScale],
            H::Dense8Each(_) => &[H::Dense8Params, H::MmScale],
            H::Dense8(_) | H::Dense8Left(_) => &[H::Dense8Params],
            H::Rows | H::Patches => &[H::Move],
            H::Exp | H::Quantize | H::QuantizeEven => &[H::Base],
            H::Softmax => &[H::Exp],
            H::Add => &[H::Base, H::Helium, H::MulHr],
            H::AvgPool | H::MaxPool => &[H::Pool],
            H::Base16 => &[],
            H::ScaleSmall => &[H::ScaleAny],
            H::Wide(wide) => match wide {
                Wide::Clamp | Wide::Dequantize => &[],
                Wide::Add => &[H::Base16, H::MulHr],
                Wide::Mul | Wide::Mean => &[H::Base16, H::ScaleAny],
                Wide::Widen | Wide::Requantize | Wide::Softmax => &[H::Base16, H::ScaleSmall],
                Wide::Narrow => &[H::Base, H::ScaleSmall],
                Wide::AvgPool | Wide::MaxPool => &[H::Pool],
                Wide::Quantize | Wide::QuantizeEven => &[H::Base16],
                Wide::Window => &[H::Base16],
                Wide::Products => &[H::Base16, H::Helium],
                Wide::Conv => &[H::Wide(Wide::Window), H::Wide(Wide::Products)],
                Wide::Depthwise => &[H::Wide(Wide::Window), H::Helium],
            },
        }
    }

    pub fn text(self, isa: Isa, present: &BTreeSet<Self>) -> String {
        let dsp = isa == Isa::Dsp;
        let mve = isa == Isa::Helium;
        let plain = match self {
            Self::Base => include_str!("c/base.c"),
            Self::Helium if mve => include_str!("c/helium.c"),
            Self::Helium => "",
            Self::MulHr => include_str!("c/mulhr.c"),
            Self::Left => "",
            Self::RequantLeft => include_str!("c/requant_left.c"),
            Self::MmScale if present.contains(&Self::Left) => {
                "/* Some multiplier is a half or more. */\n#define PR_LEFT\n#define PR_REQUANT pr_requant_left\n"
            }
            Self::MmScale => {
                "#define PR_REQUANT(acc, multiplier, shift, zero) pr_requant(acc, multiplier, (shift) & 31, zero)\n"
            }
            Self::ScaleAny => include_str!("c/requant_any.c"),
            Self::Clamp => include_str!("c/clamp.c"),
            Self::Move => include_str!("c/move.c"),
            Self::Exp => include_str!("c/exp.c"),
            Self::MmParams if mve => include_str!("c/mm_params_mve.c"),
            Self::MmParams => include_str!("c/mm_params.c"),
            Self::Pack if dsp => include_str!("c/widen_dsp.c"),
            Self::Pack if mve => include_str!("c/spread_mve.c"),
            Self::Pack => include_str!("c/widen_c.c"),
            Self::Mm42 if dsp => include_str!("c/mm_dsp.c"),
            Self::Mm42 if mve => include_str!("c/mm_mve.c"),
            Self::Mm42Any if mve => include_str!("c/mm_mve_any.c"),
            // It saves little; one form of the product is enough where the other is needed too.
            Self::Mm42Relu if mve && present.contains(&Self::Mm42Any) => "",
            Self::Mm42Relu if mve => {
                return include_str!("c/mm_mve_any.c")
                    .replace("For any zero point of the output", "For a zero point of -128")
                    .replace("pr_mm42(", "pr_mm42_relu(")
                    .replace("PR_TIES", "\"\"");
            }
            Self::Mm42 => "",
            Self::Mm42Any if dsp => include_str!("c/mm_dsp_any.c"),
            Self::Mm42Long => "",
            Self::Mm42Relu if dsp && present.contains(&Self::Mm42Long) => {
                return include_str!("c/mm_dsp_relu.c")
                    .replace(".rept 8", ".rept 32")
                    .replace("r4, #63", "r4, #255");
            }
            Self::Mm42Relu if dsp => include_str!("c/mm_dsp_relu.c"),
            Self::Mm42Relu if present.contains(&Self::Mm42Any) => "",
            Self::Mm42Any | Self::Mm42Relu => include_str!("c/mm_c.c"),
            Self::MmChoice => {
                let any = present.contains(&Self::Mm42Any);
                let relu = (dsp || mve && !any) && present.contains(&Self::Mm42Relu);
                match (relu, any) {
                    (true, true) => {
                        return format!(
                            "#define PR_MM(columns, stream, out, m) \\\n    ((m)->zero == {} ? pr_mm42_relu : pr_mm42)(columns, stream, out, m)\n",
                            crate::pack::LINE_ZERO
                        );
                    }
                    (true, false) => "#define PR_MM pr_mm42_relu\n",
                    (false, _) => "#define PR_MM pr_mm42\n",
                }
            }
            Self::Pairs => include_str!("c/pairs.c"),
            Self::MmEnd => include_str!("c/mm_dsp_end.c"),
            Self::MmCoded => include_str!("c/mm_dsp_coded.c"),
            Self::Product(Coding::Plain | Coding::Winograd) => "",
            Self::Product(Coding::Sparse) if mve => include_str!("c/mm_mve_sparse.c"),
            Self::Product(coding) if !dsp => return plain_product(coding),
            Self::Product(coding) => match coding {
                Coding::Nibbles => include_str!("c/mm_dsp_nibbles.c"),
                Coding::Palette => include_str!("c/mm_dsp_palette.c"),
                Coding::Sparse => include_str!("c/mm_dsp_sparse.c"),
                _ => include_str!("c/mm_dsp_sparse_palette.c"),
            },
            Self::ConvOf(coding @ (Coding::Plain | Coding::Sparse)) if mve => {
                return driver(include_str!("c/conv_driver_mve.c"), "pr_conv2d", coding, dsp);
            }
            Self::PointwiseOf(coding) if mve => {
                let text = include_str!("c/pointwise_driver_mve.c");
                return driver(text, "pr_pointwise", coding, dsp);
            }
            Self::ConvOf(_) if mve => "",
            Self::Codes => return codes(isa),
            Self::Decode(packing) => return decoder(isa, packing),
            Self::ConvPacked if mve => {
                return include_str!("c/packed_mve.c").to_owned()
                    + "\n"
                    + &packed_driver(include_str!("c/conv_driver_mve.c"), isa);
            }
            Self::ConvPacked => {
                let text =
                    if dsp { dsp_driver(present) } else { include_str!("c/conv_driver.c").into() };
                return include_str!("c/packed.c").to_owned() + "\n" + &packed_driver(&text, isa);
            }
            Self::ConvOf(Coding::Winograd) => include_str!("c/winograd.c"),
            Self::PointwiseOf(Coding::Winograd) => "",
            Self::ConvOf(coding) => {
                if !dsp {
                    return driver(include_str!("c/conv_driver.c"), "pr_conv2d", coding, dsp);
                }
                return driver(&dsp_driver(present), "pr_conv2d", coding, dsp);
            }
            Self::PointwiseOf(coding) => {
                return driver(include_str!("c/pointwise_driver.c"), "pr_pointwise", coding, dsp);
            }
            Self::Conv if mve => include_str!("c/conv_mve.c"),
            Self::Pointwise if mve => include_str!("c/pointwise_mve.c"),
            Self::Strip => include_str!("c/strip_dsp.c"),
            Self::Conv => include_str!("c/conv.c"),
            Self::Windows => include_str!("c/windows_dsp.c"),
            Self::Pointwise => include_str!("c/pointwise.c"),
            Self::ConvAny => include_str!("c/conv_any.c"),
            Self::Plane => include_str!("c/plane.c"),
            Self::PlaneElement if dsp => include_str!("c/plane_dsp.c"),
            Self::PlaneElement => include_str!("c/plane_c.c"),
            Self::Gather if mve => include_str!("c/gather_mve.c"),
            Self::Gather if dsp => include_str!("c/gather_dsp.c"),
            Self::Gather => include_str!("c/gather_c.c"),
            Self::PlaneDw3Plain if mve => include_str!("c/dw3_mve.c"),
            Self::PlaneDw3S1 if mve => include_str!("c/dw3_mve_s1.c"),
            Self::PlaneDw3S2 if mve => include_str!("c/dw3_mve_s2.c"),
            Self::PlaneDw3S1Relu if mve => include_str!("c/dw3_mve_s1_relu.c"),
            Self::PlaneDw3S2Relu if mve => include_str!("c/dw3_mve_s2_relu.c"),
            Self::PlaneDw3Plain => include_str!("c/plane_dw3_plain.c"),
            Self::PlaneDw3S1 => include_str!("c/plane_dw3_s1.c"),
            Self::PlaneDw3PairsRelu => include_str!("c/plane_dw3_pairs_relu.c"),
            Self::PlaneDw3S2 => include_str!("c/plane_dw3_s2.c"),
            Self::PlaneDw3S1Relu => include_str!("c/plane_dw3_s1_relu.c"),
            Self::PlaneDw3S2Relu => include_str!("c/plane_dw3_s2_relu.c"),
            Self::Channel3x3 if dsp => {
                let pairs = if present.contains(&Self::PlaneDw3PairsRelu) { PAIRS } else { "" };
                return include_str!("c/plane_dw3.c")
                    .replace("    PR_DW3_PAIRS\n", pairs)
                    .replace("PR_DW3_BY_LAYER", &depthwise_choice(present, "!c->line"));
            }
            Self::Channel3x3 if mve => "",
            Self::Channel3x3 => include_str!("c/plane_channel_3x3_c.c"),
            Self::PlaneWide => {
                return include_str!("c/dw_wide_dsp.c").to_owned()
                    + include_str!("c/dw_wide_plain.c");
            }
            Self::PlaneDw5S1 => include_str!("c/plane_dw5_s1.c"),
            Self::PlaneDw5S2 => include_str!("c/plane_dw5_s2.c"),
            Self::PlaneDw7S1 => include_str!("c/plane_dw7_s1.c"),
            Self::PlaneDw7S2 => include_str!("c/plane_dw7_s2.c"),
            Self::ChannelWide => {
                return include_str!("c/plane_channel_wide.c")
                    .replace("PR_DW_BY_LAYER", &wide_choice(present));
            }
            Self::DepthwiseWide => {
                return plane_driver("pr_depthwise_wide", "pr_channel_wide", present);
            }
            Self::Channel => include_str!("c/plane_channel.c"),
            Self::ChannelLeft => {
                return include_str!("c/plane_channel.c")
                    .replace("pr_channel", "pr_channel_left")
                    .replace("pr_requant", "pr_requant_left");
            }
            Self::Depthwise3x3 if mve => {
                return include_str!("c/dw3_mve_driver.c")
                    .replace("PR_DW3_BY_LAYER", &depthwise_choice(present, "c->zero != -255"));
            }
            Self::Depthwise3x3 => {
                return plane_driver("pr_depthwise_3x3", "pr_channel_3x3", present);
            }
            Self::Depthwise => {
                return plane_driver("pr_depthwise", "pr_channel", present);
            }
            Self::Dense8Params if mve => "",
            Self::Dense8Params => include_str!("c/dense_dsp_params.c"),
            Self::Dense8(_) if mve => include_str!("c/dense_mve.c"),
            Self::Dense8(coding) => {
                return dense8(coding)
                    .replace("PR_DENSE_PAST", "")
                    .replace("PR_DENSE_SCALE", "pr_dense_scale");
            }
            Self::Dense8Left(coding) => {
                return dense8(coding)
                    .replace("PR_DENSE_PAST", "")
                    .replace("PR_DENSE_SCALE", "pr_dense_scale_left")
                    .replace(", PR_DENSE_TWO)", ", PR_DENSE_TWO_LEFT)")
                    .replace(", PR_DENSE_PLAIN)", ", PR_DENSE_PLAIN_LEFT)")
                    .replace("pr_dense8", "pr_dense8_left");
            }
            Self::Dense8Each(coding) => {
                let scale = "PR_REQUANT(\n                FIRST, (int32_t)stream[i / 4 * 5 + i % 4 + 1], stream[i / 4 * 5] >> i % 4 * 8 & 63, c->offset)";
                return dense8(coding)
                    .replace("PR_DENSE_PAST", "        stream += 10;\n")
                    .replace("PR_DENSE_SCALE(acc, c)", &scale.replace("FIRST", "acc"))
                    .replace("PR_DENSE_SCALE(sum[i], c)", &scale.replace("FIRST", "sum[i]"))
                    .replace("\", PR_DENSE_TWO)", "\")")
                    .replace("\", PR_DENSE_PLAIN)", "\")")
                    .replace(
                        "PR_DENSE_END(",
                        match coding {
                            Coding::Palette => "PR_DENSE_END_EACH_PLAIN(",
                            _ => "PR_DENSE_END_EACH_TWO(",
                        },
                    )
                    .replace("pr_dense8", "pr_dense8_each");
            }
            Self::Dense1 if matches!(isa, Isa::V6m | Isa::V7m) => include_str!("c/dense_c4.c"),
            Self::Dense1 => include_str!("c/dense_c.c"),
            Self::Add if mve => {
                return include_str!("c/add.c").replace("pr_add(", "pr_add_rest(")
                    + "\n"
                    + include_str!("c/add_mve.c");
            }
            Self::Add => include_str!("c/add.c"),
            Self::Mul => include_str!("c/mul.c"),
            Self::Table => include_str!("c/table.c"),
            Self::Softmax => include_str!("c/softmax.c"),
            Self::Pool => include_str!("c/pool.c"),
            Self::AvgPool => include_str!("c/avg_pool.c"),
            Self::MaxPool => include_str!("c/max_pool.c"),
            Self::Mean => include_str!("c/mean.c"),
            Self::Copy => include_str!("c/copy.c"),
            Self::Quantize => return quantize(),
            Self::QuantizeEven => return quantize_even(),
            Self::Dequantize => include_str!("c/dequantize.c"),
            Self::Requantize => include_str!("c/requantize.c"),
            Self::Rows => include_str!("c/rows.c"),
            Self::Patches => include_str!("c/patches.c"),
            Self::Base16 => include_str!("c/base16.c"),
            Self::ScaleSmall => include_str!("c/scale_small.c"),
            Self::Wide(what) => return wide(what, isa),
        };
        plain.to_string()
    }
}

/// Rows of 3x3 windows that are done two at a time.
const PAIRS: &str = "    if (line && c->stride_h == 1 && c->stride_w == 1 && height > 1) {
        pr_dw3_pairs_relu(&d);
        height &= ~1;
        d.plane += height * c->pitch;
        d.out += height * c->out_y;
        d.height -= height;
        if (!d.height) {
            return;
        }
    }
";

/// What the driver of convolutions does for a row of outputs where rows are padded in a strip.
const STRIP_ROWS: &str = "        if (width) {
            pr_strip(c, in, y0, edge, kept);
            kept = c->k_h - c->stride_h;
            first = edge;
        }
";

/// What walks the planes of all channels; those whose multipliers are a half or more have a loop of their own.
fn plane_driver(name: &str, channel: &str, present: &BTreeSet<Helper>) -> String {
    let left = "(!c->line && record[8 + c->k_h * c->k_w] & 32 ? pr_channel_left : PR_CHANNEL)(";
    let text = include_str!("c/plane_driver.c").replace("PR_NAME", name);
    let choose = present.contains(&Helper::ChannelLeft);
    let text = if choose { text.replace("PR_CHANNEL(", left) } else { text };
    text.replace("PR_CHANNEL", channel)
}

fn dense8(coding: Coding) -> &'static str {
    match coding {
        Coding::Nibbles => include_str!("c/dense_dsp_nibbles.c"),
        Coding::Palette => include_str!("c/dense_dsp_palette.c"),
        _ => include_str!("c/dense_dsp.c"),
    }
}

/// The product with coded weights in plain C.
fn plain_product(coding: Coding) -> String {
    let sparse = matches!(coding, Coding::Sparse | Coding::SparsePalette);
    let (what, halves, weight) = match coding {
        Coding::Nibbles => ("4 bits each", "1", "((int32_t)((uint32_t)*w << (28 - 4 * N)) >> 28)"),
        Coding::Sparse => ("a byte each", "2", "((const int8_t *)w)[N]"),
        _ => ("codes of 4 bits each", "1", "book[*w >> 4 * N & 15]"),
    };
    let blocks =
        "in blocks of four inputs: the bytes of columns left out before one, 0xffff after the last";
    let what = if sparse { format!("{what}, {blocks}") } else { what.to_owned() };
    let (repeat, after) = if sparse {
        ("for (; *w != 0xffff;)", "        w += 1 + (~(w - (const uint16_t *)stream) & 1);\n")
    } else {
        ("for (const int8_t *end = x + m->bytes; x != end;)", "")
    };
    let book = if coding.has_palette() {
        "    const int8_t *book = (const int8_t *)(columns - 4);\n"
    } else {
        ""
    };
    let mut text = include_str!("c/mm_c_coded.c")
        .replace("PR_NAME", &format!("pr_mm42{}", coding.suffix()))
        .replace("PR_WHAT", &what)
        .replace("PR_BOOK", book)
        .replace(
            "PR_LOOP {",
            if sparse { "PR_LOOP {\n            x += *w++;" } else { "PR_LOOP {" },
        )
        .replace("PR_LOOP", repeat)
        .replace("PR_AFTER", after)
        .replace("PR_HALVES", halves);
    for channel in 0..4 {
        let one = weight.replace('N', &channel.to_string());
        text = text.replace(&format!("PR_WEIGHT({channel})"), &one);
    }
    text
}

/// The driver of convolutions with the DSP extension.
fn dsp_driver(present: &BTreeSet<Helper>) -> String {
    // Without layers that need it the compiler is told that there are none.
    let strips = present.contains(&Helper::Strip);
    let (width, rows) = if strips { ("c->strip", STRIP_ROWS) } else { ("0", "") };
    include_str!("c/conv_driver_dsp.c")
        .replace("        PR_STRIP_ROWS\n", rows)
        .replace("PR_STRIP_KEPT", if strips { "int32_t kept = 0;\n    " } else { "" })
        .replace("PR_STRIP", width)
}

/// What decoders and the drivers that call them share.
fn codes(isa: Isa) -> String {
    let put = match isa {
        Isa::Dsp => "#define PR_LANES(a, b) ((uint32_t)(a) & 0xffff) | (uint32_t)(b) << 16\n",
        Isa::V6m | Isa::V7m | Isa::Helium => {
            "#define PR_FOUR(a, b, c, d) \\\n    (uint8_t)(a) | (uint32_t)(uint8_t)(b) << 8 | (uint32_t)(uint8_t)(c) << 16 | (uint32_t)(uint8_t)(d) << 24\n"
        }
    };
    include_str!("c/codes.c").to_owned() + put
}

/// Floats to int8, ties away from zero.
fn quantize() -> String {
    include_str!("c/quantize.c")
        .replace("PR_NAME", "pr_quantize")
        .replace("PR_TIES", "away from zero")
        .replace("PR_ROUND", "v += (rest >= 0.5f) - (rest <= -0.5f);")
}

/// Floats to int8, ties to even numbers.
fn quantize_even() -> String {
    let up = "(rest > 0.5f || (rest == 0.5f && (v & 1)))";
    let round = format!("v += {up} - {};", up.replace("0.5f", "-0.5f").replace('>', "<"));
    include_str!("c/quantize.c")
        .replace("PR_NAME", "pr_quantize_even")
        .replace("PR_TIES", "to even numbers")
        .replace("PR_ROUND", &round)
}

/// The functions for 16-bit activations: most are those for 8 bits with other types.
fn wide(what: Wide, isa: Isa) -> String {
    let named = |text: &str, name: &str| text.replace(name, &format!("{name}16"));
    let widened = |text: &str, name: &str| {
        named(text, name).replace("int8_t", "int16_t").replace("pr_sat8", "pr_sat16")
    };
    let small = include_str!("c/requantize.c").replace("pr_scale_any", "pr_scale_small");
    match what {
        Wide::Clamp => widened(include_str!("c/clamp.c"), "pr_clamp"),
        Wide::Add => widened(include_str!("c/add.c"), "pr_add")
            .replace("2^20", "2^15")
            .replace("1 << 19", "1 << 14")
            .replace("1 << 21", "1 << 16")
            .replace("-128", "-32768")
            .replace("127", "32767"),
        Wide::Mul => widened(include_str!("c/mul.c"), "pr_mul"),
        Wide::Mean => widened(include_str!("c/mean.c"), "pr_mean"),
        Wide::AvgPool => widened(include_str!("c/avg_pool.c"), "pr_avg_pool"),
        Wide::MaxPool => widened(include_str!("c/max_pool.c"), "pr_max_pool"),
        Wide::Quantize => widened(&quantize(), "pr_quantize").replace("512.0f", "131072.0f"),
        Wide::QuantizeEven => {
            widened(&quantize_even(), "pr_quantize_even").replace("512.0f", "131072.0f")
        }
        Wide::Dequantize => widened(include_str!("c/dequantize.c"), "pr_dequantize"),
        Wide::Requantize => widened(&small, "pr_requantize"),
        Wide::Widen => small
            .replace("pr_requantize", "pr_widen")
            .replace("int8_t *out", "int16_t *out")
            .replace("(int8_t)pr_sat8", "(int16_t)pr_sat16"),
        Wide::Narrow => small
            .replace("pr_requantize", "pr_narrow")
            .replace("const int8_t *in", "const int16_t *in"),
        Wide::Softmax => include_str!("c/softmax16.c").to_owned(),
        Wide::Window => include_str!("c/window16.c").to_owned(),
        Wide::Products => {
            let four = match isa {
                Isa::V6m | Isa::V7m => "",
                Isa::Dsp => include_str!("c/products16_dsp.c"),
                Isa::Helium => include_str!("c/products16_mve.c"),
            };
            include_str!("c/products16.c").replace("    PR_FOUR_ROWS\n", four)
        }
        Wide::Conv => include_str!("c/conv16.c").to_owned(),
        Wide::Depthwise => {
            let taps = if isa == Isa::Dsp { include_str!("c/quad16_dsp.c") } else { "" };
            let plain = include_str!("c/quad16.c").replace("    PR_TAPS\n", taps);
            let sums = match isa {
                Isa::Helium => include_str!("c/quad16_mve.c").replace("PR_PLAIN\n", &plain),
                _ => plain,
            };
            sums + "\n" + include_str!("c/depthwise16.c")
        }
    }
}

/// What a driver does for a pair of windows: the products, or gathering the windows for later.
const PRODUCTS: [&str; 2] = [
    "            m.stride = ox > 1 ? c->out_c : 0;
            PR_PRODUCT(scratch, PR_WEIGHTS, out, &m);
            out += 2 * c->out_c;
",
    "            if (++slot == packed->slots || ox <= 2) {
                pr_packed_products(packed, scratch, out, slot, ox == 1);
                out += 2 * slot * c->out_c;
                slot = 0;
            }
",
];

/// A driver of products with groups that are decoded into scratch memory.
fn packed_driver(text: &str, isa: Isa) -> String {
    let prepare = "    const pr_conv *c = &packed->conv;\n";
    let prepare = match isa {
        Isa::Helium => {
            format!(
                "{prepare}    uint32_t *group = (uint32_t *)scratch;\n    scratch = group + packed->words;\n"
            )
        }
        _ => format!("{prepare}    int32_t slot = 0;\n    scratch += packed->words;\n"),
    };
    text.replace("PR_NAME", "pr_conv2d_packed")
        .replace("PR_RECORD", "pr_packed *packed")
        .replace("PR_PREPARE", &prepare)
        .replace("PR_PRODUCTS", PRODUCTS[1])
        .replace(
            "PR_PRODUCT(strip, PR_WEIGHTS, out, &m)",
            "pr_packed_products(packed, strip, group, out, &m)",
        )
        .replace("PR_ROOM", "packed->slots * ")
        .replace("PR_PLACE", " + slot * (c->bytes >> 2)")
}

/// A driver of products for one coding of the weights.
fn driver(text: &str, name: &str, coding: Coding, dsp: bool) -> String {
    let suffix = coding.suffix();
    let product = if suffix.is_empty() { "PR_MM".to_owned() } else { format!("pr_mm42{suffix}") };
    let (prepare, weights) = if coding.has_palette() {
        let prepare = if dsp {
            "    scratch = pr_pairs(scratch, c->weights);\n"
        } else {
            "    memcpy(scratch, c->weights, 16);\n    scratch += 4;\n"
        };
        (prepare, "c->weights + 4")
    } else {
        ("", "c->weights")
    };
    let windows = name == "pr_conv2d" && !text.contains("int8_t *strip");
    let state =
        if windows { "    pr_mm m = {c->bytes, c->groups, c->out_c, c->zero};\n" } else { "" };
    text.replace("PR_NAME", &format!("{name}{suffix}"))
        .replace("PR_RECORD", "pr_conv *c")
        .replace("PR_ROOM", "")
        .replace("PR_PLACE", "")
        .replace("PR_PRODUCTS", PRODUCTS[0])
        .replace("PR_PREPARE", &format!("{prepare}{state}"))
        .replace("PR_PRODUCT", &product)
        .replace("PR_WEIGHTS", weights)
}

/// The statements that pick among the 3x3 loops that a unit has; `any` says which layers need those for any zero
/// point.
fn depthwise_choice(present: &BTreeSet<Helper>, any: &str) -> String {
    let first = format!("c->stride_w == 1 && {any}");
    let all = [
        (Helper::PlaneDw3S1, first.as_str(), "pr_dw3_s1(&d);"),
        (Helper::PlaneDw3S1Relu, "c->stride_w == 1", "pr_dw3_s1_relu(&d);"),
        (Helper::PlaneDw3S2, any, "pr_dw3_s2(&d);"),
        (Helper::PlaneDw3S2Relu, "1", "pr_dw3_s2_relu(&d);"),
    ];
    choice(&all, present)
}

/// The same for wider windows.
fn wide_choice(present: &BTreeSet<Helper>) -> String {
    let all = [
        (Helper::PlaneDw5S1, "k == 5 && c->stride_w == 1", "pr_dw5_s1(&d);"),
        (Helper::PlaneDw5S2, "k == 5", "pr_dw5_s2(&d);"),
        (Helper::PlaneDw7S1, "c->stride_w == 1", "pr_dw7_s1(&d);"),
        (Helper::PlaneDw7S2, "1", "pr_dw7_s2(&d);"),
    ];
    choice(&all, present)
}

fn choice(all: &[(Helper, &str, &str)], present: &BTreeSet<Helper>) -> String {
    let used: Vec<_> = all.iter().filter(|(h, ..)| present.contains(h)).collect();
    let mut text = String::new();
    for (index, (_, condition, call)) in used.iter().enumerate() {
        let last = index + 1 == used.len();
        if !last {
            text.push_str(&format!("if ({condition}) "));
        }
        text.push_str(&format!("{{\n        {call}\n    }}"));
        if !last {
            text.push_str(" else ");
        }
    }
    text
}
