//! The part of the file format that the reader and the writer use. Numbers of fields and of unions'
//! members and defaults are the published ones (tensorflow/compiler/mlir/lite/schema, version 3c); names
//! matter here only.
//!
//! Closed sets of numbers (element types, operator codes, paddings, activations) are plain integers, so
//! that a number unknown to this crate is an error with a place and not a damaged file. Options of the
//! same fields share a table.

use crate::flat::{tables, unions};

tables! {
    CustomQuantization, CustomQuantizationRef {}

    QuantizationParameters, QuantizationParametersRef {
        2 scale: numbers(f32),
        3 zero_point: numbers(i64),
        4 details: union(QuantizationDetails, QuantizationDetailsRef),
        6 quantized_dimension: number(i32 = 0),
    }

    Int32Vector, Int32VectorRef { 0 values: numbers(i32) }

    Uint16Vector, Uint16VectorRef { 0 values: numbers(u16) }

    Uint8Vector, Uint8VectorRef { 0 values: bytes() }

    DimensionMetadata, DimensionMetadataRef {
        0 format: number(i8 = 0),
        1 dense_size: number(i32 = 0),
        2 array_segments: union(SparseIndexVector, SparseIndexVectorRef),
        4 array_indices: union(SparseIndexVector, SparseIndexVectorRef),
    }

    SparsityParameters, SparsityParametersRef {
        0 traversal_order: numbers(i32),
        1 block_map: numbers(i32),
        2 dim_metadata: tables(DimensionMetadata, DimensionMetadataRef),
    }

    Tensor, TensorRef {
        0 shape: numbers(i32),
        1 type_: number(i8 = 0),
        2 buffer: number(u32 = 0),
        3 name: text(),
        4 quantization: table(QuantizationParameters, QuantizationParametersRef),
        5 is_variable: number(bool = false),
        6 sparsity: table(SparsityParameters, SparsityParametersRef),
        8 has_rank: number(bool = false),
    }

    /// Options without fields of interest.
    NoOptions, NoOptionsRef {}

    Conv2DOptions, Conv2DOptionsRef {
        0 padding: number(i8 = 0),
        1 stride_w: number(i32 = 0),
        2 stride_h: number(i32 = 0),
        3 fused_activation_function: number(i8 = 0),
        4 dilation_w_factor: number(i32 = 1),
        5 dilation_h_factor: number(i32 = 1),
        6 quantized_bias_type: number(i8 = 0),
    }

    DepthwiseConv2DOptions, DepthwiseConv2DOptionsRef {
        0 padding: number(i8 = 0),
        1 stride_w: number(i32 = 0),
        2 stride_h: number(i32 = 0),
        3 depth_multiplier: number(i32 = 0),
        4 fused_activation_function: number(i8 = 0),
        5 dilation_w_factor: number(i32 = 1),
        6 dilation_h_factor: number(i32 = 1),
    }

    Pool2DOptions, Pool2DOptionsRef {
        0 padding: number(i8 = 0),
        1 stride_w: number(i32 = 0),
        2 stride_h: number(i32 = 0),
        3 filter_width: number(i32 = 0),
        4 filter_height: number(i32 = 0),
        5 fused_activation_function: number(i8 = 0),
    }

    SvdfOptions, SvdfOptionsRef {
        0 rank: number(i32 = 0),
        1 fused_activation_function: number(i8 = 0),
        2 asymmetric_quantize_inputs: number(bool = false),
    }

    FullyConnectedOptions, FullyConnectedOptionsRef {
        0 fused_activation_function: number(i8 = 0),
        1 weights_format: number(i8 = 0),
        2 keep_num_dims: number(bool = false),
        3 asymmetric_quantize_inputs: number(bool = false),
        4 quantized_bias_type: number(i8 = 0),
    }

    SoftmaxOptions, SoftmaxOptionsRef { 0 beta: number(f32 = 0.0) }

    ConcatenationOptions, ConcatenationOptionsRef {
        0 axis: number(i32 = 0),
        1 fused_activation_function: number(i8 = 0),
    }

    AddOptions, AddOptionsRef {
        0 fused_activation_function: number(i8 = 0),
        1 pot_scale_int16: number(bool = true),
    }

    LocalResponseNormalizationOptions, LocalResponseNormalizationOptionsRef {
        0 radius: number(i32 = 0),
        1 bias: number(f32 = 0.0),
        2 alpha: number(f32 = 0.0),
        3 beta: number(f32 = 0.0),
    }

    LstmOptions, LstmOptionsRef {
        0 fused_activation_function: number(i8 = 0),
        1 cell_clip: number(f32 = 0.0),
        2 proj_clip: number(f32 = 0.0),
        3 kernel_type: number(i8 = 0),
        4 asymmetric_quantize_inputs: number(bool = false),
    }

    ResizeBilinearOptions, ResizeBilinearOptionsRef {
        2 align_corners: number(bool = false),
        3 half_pixel_centers: number(bool = false),
    }

    /// A list of extents or axes.
    ReshapeOptions, ReshapeOptionsRef { 0 new_shape: numbers(i32) }

    SpaceToDepthOptions, SpaceToDepthOptionsRef { 0 block_size: number(i32 = 0) }

    GatherOptions, GatherOptionsRef {
        0 axis: number(i32 = 0),
        1 batch_dims: number(i32 = 0),
    }

    ReducerOptions, ReducerOptionsRef { 0 keep_dims: number(bool = false) }

    StridedSliceOptions, StridedSliceOptionsRef {
        0 begin_mask: number(i32 = 0),
        1 end_mask: number(i32 = 0),
        2 ellipsis_mask: number(i32 = 0),
        3 new_axis_mask: number(i32 = 0),
        4 shrink_axis_mask: number(i32 = 0),
        5 offset: number(bool = false),
    }

    SplitOptions, SplitOptionsRef { 0 num_splits: number(i32 = 0) }

    CastOptions, CastOptionsRef {
        0 in_data_type: number(i8 = 0),
        1 out_data_type: number(i8 = 0),
    }

    ArgMaxOptions, ArgMaxOptionsRef { 0 output_type: number(i8 = 0) }

    TransposeConvOptions, TransposeConvOptionsRef {
        0 padding: number(i8 = 0),
        1 stride_w: number(i32 = 0),
        2 stride_h: number(i32 = 0),
        3 fused_activation_function: number(i8 = 0),
        4 quantized_bias_type: number(i8 = 0),
    }

    PackOptions, PackOptionsRef {
        0 values_count: number(i32 = 0),
        1 axis: number(i32 = 0),
    }

    OneHotOptions, OneHotOptionsRef { 0 axis: number(i32 = 0) }

    UnidirectionalSequenceLstmOptions, UnidirectionalSequenceLstmOptionsRef {
        0 fused_activation_function: number(i8 = 0),
        1 cell_clip: number(f32 = 0.0),
        2 proj_clip: number(f32 = 0.0),
        3 time_major: number(bool = false),
        4 asymmetric_quantize_inputs: number(bool = false),
        5 diagonal_recurrent_tensors: number(bool = false),
    }

    ResizeNearestNeighborOptions, ResizeNearestNeighborOptionsRef {
        0 align_corners: number(bool = false),
        1 half_pixel_centers: number(bool = false),
    }

    LeakyReluOptions, LeakyReluOptionsRef { 0 alpha: number(f32 = 0.0) }

    MirrorPadOptions, MirrorPadOptionsRef { 0 mode: number(i8 = 0) }

    ReverseSequenceOptions, ReverseSequenceOptionsRef {
        0 seq_dim: number(i32 = 0),
        1 batch_dim: number(i32 = 0),
    }

    BatchMatMulOptions, BatchMatMulOptionsRef {
        0 adj_x: number(bool = false),
        1 adj_y: number(bool = false),
        2 asymmetric_quantize_inputs: number(bool = false),
    }

    CumsumOptions, CumsumOptionsRef {
        0 exclusive: number(bool = false),
        1 reverse: number(bool = false),
    }

    VarHandleOptions, VarHandleOptionsRef {
        0 container: text(),
        1 shared_name: text(),
    }

    GeluOptions, GeluOptionsRef { 0 approximate: number(bool = false) }

    OperatorCode, OperatorCodeRef {
        0 deprecated_builtin_code: number(i8 = 0),
        1 custom_code: text(),
        2 version: number(i32 = 1),
        3 builtin_code: number(i32 = 0),
    }

    Operator, OperatorRef {
        0 opcode_index: number(u32 = 0),
        1 inputs: numbers(i32),
        2 outputs: numbers(i32),
        3 builtin_options: union(BuiltinOptions, BuiltinOptionsRef),
        8 intermediates: numbers(i32),
    }

    SubGraph, SubGraphRef {
        0 tensors: tables(Tensor, TensorRef),
        1 inputs: numbers(i32),
        2 outputs: numbers(i32),
        3 operators: tables(Operator, OperatorRef),
        4 name: text(),
    }

    Buffer, BufferRef {
        0 data: bytes(),
        1 offset: number(u64 = 0),
        2 size: number(u64 = 0),
    }

    Model, ModelRef {
        0 version: number(u32 = 0),
        1 operator_codes: tables(OperatorCode, OperatorCodeRef),
        2 subgraphs: tables(SubGraph, SubGraphRef),
        3 description: text(),
        4 buffers: tables(Buffer, BufferRef),
        7 signature_defs: tables(SignatureDef, SignatureDefRef),
    }

    SignatureDef, SignatureDefRef {
        0 inputs: tables(TensorMap, TensorMapRef),
        1 outputs: tables(TensorMap, TensorMapRef),
        2 signature_key: text(),
        4 subgraph_index: number(u32 = 0),
    }

    TensorMap, TensorMapRef {
        0 name: text(),
        1 tensor_index: number(u32 = 0),
    }
}

unions! {
    QuantizationDetails, QuantizationDetailsRef {
        1 CustomQuantization(CustomQuantization, CustomQuantizationRef),
    }

    SparseIndexVector, SparseIndexVectorRef {
        1 Int32Vector(Int32Vector, Int32VectorRef),
        2 Uint16Vector(Uint16Vector, Uint16VectorRef),
        3 Uint8Vector(Uint8Vector, Uint8VectorRef),
    }

    BuiltinOptions, BuiltinOptionsRef {
        1 Conv2DOptions(Conv2DOptions, Conv2DOptionsRef),
        2 DepthwiseConv2DOptions(DepthwiseConv2DOptions, DepthwiseConv2DOptionsRef),
        5 Pool2DOptions(Pool2DOptions, Pool2DOptionsRef),
        6 SvdfOptions(SvdfOptions, SvdfOptionsRef),
        8 FullyConnectedOptions(FullyConnectedOptions, FullyConnectedOptionsRef),
        9 SoftmaxOptions(SoftmaxOptions, SoftmaxOptionsRef),
        10 ConcatenationOptions(ConcatenationOptions, ConcatenationOptionsRef),
        11 AddOptions(AddOptions, AddOptionsRef),
        12 L2NormOptions(AddOptions, AddOptionsRef),
        13 LocalResponseNormalizationOptions(
            LocalResponseNormalizationOptions,
            LocalResponseNormalizationOptionsRef
        ),
        14 LstmOptions(LstmOptions, LstmOptionsRef),
        15 ResizeBilinearOptions(ResizeBilinearOptions, ResizeBilinearOptionsRef),
        17 ReshapeOptions(ReshapeOptions, ReshapeOptionsRef),
        19 SpaceToDepthOptions(SpaceToDepthOptions, SpaceToDepthOptionsRef),
        21 MulOptions(AddOptions, AddOptionsRef),
        22 PadOptions(NoOptions, NoOptionsRef),
        23 GatherOptions(GatherOptions, GatherOptionsRef),
        26 TransposeOptions(NoOptions, NoOptionsRef),
        27 ReducerOptions(ReducerOptions, ReducerOptionsRef),
        28 SubOptions(AddOptions, AddOptionsRef),
        29 DivOptions(AddOptions, AddOptionsRef),
        30 SqueezeOptions(ReshapeOptions, ReshapeOptionsRef),
        32 StridedSliceOptions(StridedSliceOptions, StridedSliceOptionsRef),
        34 TopKv2Options(NoOptions, NoOptionsRef),
        35 SplitOptions(SplitOptions, SplitOptionsRef),
        36 LogSoftmaxOptions(NoOptions, NoOptionsRef),
        37 CastOptions(CastOptions, CastOptionsRef),
        38 DequantizeOptions(NoOptions, NoOptionsRef),
        40 ArgMaxOptions(ArgMaxOptions, ArgMaxOptionsRef),
        43 PadV2Options(NoOptions, NoOptionsRef),
        48 SliceOptions(NoOptions, NoOptionsRef),
        49 TransposeConvOptions(TransposeConvOptions, TransposeConvOptionsRef),
        51 TileOptions(NoOptions, NoOptionsRef),
        57 ArgMinOptions(ArgMaxOptions, ArgMaxOptionsRef),
        59 PackOptions(PackOptions, PackOptionsRef),
        61 OneHotOptions(OneHotOptions, OneHotOptionsRef),
        64 UnpackOptions(PackOptions, PackOptionsRef),
        71 UnidirectionalSequenceLstmOptions(
            UnidirectionalSequenceLstmOptions,
            UnidirectionalSequenceLstmOptionsRef
        ),
        74 ResizeNearestNeighborOptions(
            ResizeNearestNeighborOptions,
            ResizeNearestNeighborOptionsRef
        ),
        75 LeakyReluOptions(LeakyReluOptions, LeakyReluOptionsRef),
        77 MirrorPadOptions(MirrorPadOptions, MirrorPadOptionsRef),
        79 SplitVOptions(SplitOptions, SplitOptionsRef),
        81 ReverseV2Options(NoOptions, NoOptionsRef),
        83 GatherNdOptions(NoOptions, NoOptionsRef),
        87 ReverseSequenceOptions(ReverseSequenceOptions, ReverseSequenceOptionsRef),
        89 QuantizeOptions(NoOptions, NoOptionsRef),
        94 DepthToSpaceOptions(SpaceToDepthOptions, SpaceToDepthOptionsRef),
        97 ScatterNdOptions(NoOptions, NoOptionsRef),
        98 SelectV2Options(NoOptions, NoOptionsRef),
        101 BatchMatMulOptions(BatchMatMulOptions, BatchMatMulOptionsRef),
        102 CumsumOptions(CumsumOptions, CumsumOptionsRef),
        104 BroadcastToOptions(NoOptions, NoOptionsRef),
        111 VarHandleOptions(VarHandleOptions, VarHandleOptionsRef),
        116 GeluOptions(GeluOptions, GeluOptionsRef),
    }
}
