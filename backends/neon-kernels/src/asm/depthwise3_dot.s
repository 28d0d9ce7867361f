// Rows of a depthwise convolution of i8 with a window of 3x3 by the dot product instruction: sixteen channels, column
// by column with the columns before in registers.
//
// Arguments as in depthwise3.s; x13 points to the block, x14 to the constants of all channels. A column is four
// registers, each with three rows of four channels side by side and one of them again, which meets a weight of zero.
// v0-v11 three columns, v12-v23 weights of the three columns.

.arch_extension dotprod

.macro pz_column a, b, c, d
    ld1 {v28.16b}, [x1], x4
    ld1 {v29.16b}, [x2], x5
    ld1 {v30.16b}, [x3], x6
    zip1 v31.16b, v28.16b, v30.16b
    zip2 v28.16b, v28.16b, v30.16b
    zip1 v30.16b, v29.16b, v29.16b
    zip2 v29.16b, v29.16b, v29.16b
    zip1 \a\().16b, v31.16b, v30.16b
    zip2 \b\().16b, v31.16b, v30.16b
    zip1 \c\().16b, v28.16b, v29.16b
    zip2 \d\().16b, v28.16b, v29.16b
.endm

.macro pz_padding a, b, c, d
    ldr q31, [x15]
    mov \a\().16b, v31.16b
    mov \b\().16b, v31.16b
    mov \c\().16b, v31.16b
    mov \d\().16b, v31.16b
.endm

// Sums of sixteen channels in v24-v27.
.macro pz_sums a, b, c, d, e, f, g, h, i, j, k, l
    ldp q24, q25, [x13]
    ldp q26, q27, [x13, #32]
    sdot v24.4s, \a\().16b, v12.16b
    sdot v25.4s, \b\().16b, v13.16b
    sdot v26.4s, \c\().16b, v14.16b
    sdot v27.4s, \d\().16b, v15.16b
    ldp q28, q29, [x13, #64]
    sdot v24.4s, \e\().16b, v16.16b
    sdot v25.4s, \f\().16b, v17.16b
    sdot v26.4s, \g\().16b, v18.16b
    sdot v27.4s, \h\().16b, v19.16b
    ldp q30, q31, [x13, #96]
    sdot v24.4s, \i\().16b, v20.16b
    sdot v25.4s, \j\().16b, v21.16b
    sdot v26.4s, \k\().16b, v22.16b
    sdot v27.4s, \l\().16b, v23.16b
    sqrdmulh v24.4s, v24.4s, v28.4s
    sqrdmulh v25.4s, v25.4s, v29.4s
    sqrdmulh v26.4s, v26.4s, v30.4s
    sqrdmulh v27.4s, v27.4s, v31.4s
    ldp q28, q29, [x13, #128]
    ldp q30, q31, [x13, #160]
.endm

.macro pz_any a, b, c, d, e, f, g, h, i, j, k, l
    pz_sums \a, \b, \c, \d, \e, \f, \g, \h, \i, \j, \k, \l
    ssra v24.4s, v24.4s, #31
    ssra v25.4s, v25.4s, #31
    ssra v26.4s, v26.4s, #31
    ssra v27.4s, v27.4s, #31
    srshl v24.4s, v24.4s, v28.4s
    srshl v25.4s, v25.4s, v29.4s
    srshl v26.4s, v26.4s, v30.4s
    srshl v27.4s, v27.4s, v31.4s
    ld1 {v28.16b, v29.16b, v30.16b}, [x14]
    sqxtn v24.4h, v24.4s
    sqxtn v26.4h, v26.4s
    sqxtn2 v24.8h, v25.4s
    sqxtn2 v26.8h, v27.4s
    sqadd v24.8h, v24.8h, v28.8h
    sqadd v26.8h, v26.8h, v28.8h
    sqxtn v24.8b, v24.8h
    sqxtn2 v24.16b, v26.8h
    smax v24.16b, v24.16b, v29.16b
    smin v24.16b, v24.16b, v30.16b
    st1 {v24.16b}, [x7], x9
.endm

// Scaled sums of sixteen channels in 16 bits, where that is room enough and it does not matter how those below the zero
// point are rounded.
.macro pz_short
    srshl v24.4s, v24.4s, v28.4s
    srshl v25.4s, v25.4s, v29.4s
    srshl v26.4s, v26.4s, v30.4s
    srshl v27.4s, v27.4s, v31.4s
    uzp1 v24.8h, v24.8h, v25.8h
    uzp1 v26.8h, v26.8h, v27.8h
.endm

.macro pz_bounded a, b, c, d, e, f, g, h, i, j, k, l
    pz_sums \a, \b, \c, \d, \e, \f, \g, \h, \i, \j, \k, \l
    pz_short
    ld1 {v28.16b, v29.16b, v30.16b}, [x14]
    sqadd v24.8h, v24.8h, v28.8h
    sqadd v26.8h, v26.8h, v28.8h
    sqxtn v24.8b, v24.8h
    sqxtn2 v24.16b, v26.8h
    smax v24.16b, v24.16b, v29.16b
    smin v24.16b, v24.16b, v30.16b
    st1 {v24.16b}, [x7], x9
.endm

// The same where the bounds are those of the type, so that the zero point is the least number: that is the lower bound.
.macro pz_open a, b, c, d, e, f, g, h, i, j, k, l
    pz_sums \a, \b, \c, \d, \e, \f, \g, \h, \i, \j, \k, \l
    pz_short
    ldr q28, [x14, #16]
    sqxtun v24.8b, v24.8h
    sqxtun2 v24.16b, v26.8h
    eor v24.16b, v24.16b, v28.16b
    st1 {v24.16b}, [x7], x9
.endm

.macro pz_move a, b, c, d, e, f, g, h
    mov \a\().16b, \e\().16b
    mov \b\().16b, \f\().16b
    mov \c\().16b, \g\().16b
    mov \d\().16b, \h\().16b
.endm

.macro pz_enter
    pw_enter
    add x16, x13, #336
    ldp q12, q13, [x16]
    ldp q14, q15, [x16, #32]
    ldp q16, q17, [x16, #64]
    ldp q18, q19, [x16, #96]
    ldp q20, q21, [x16, #128]
    ldp q22, q23, [x16, #160]
    cbz x12, 1f
    pz_padding v0, v1, v2, v3
    b 2f
1:
    pz_column v0, v1, v2, v3
2:
.endm

// All windows of a row one column apart; \px computes one from three columns.
.macro pz_row1 px
    pz_enter
    pz_column v4, v5, v6, v7
    subs x10, x10, #3
    b.lo 4f
3:
    pz_column v8, v9, v10, v11
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    pz_column v0, v1, v2, v3
    \px v4, v5, v6, v7, v8, v9, v10, v11, v0, v1, v2, v3
    pz_column v4, v5, v6, v7
    \px v8, v9, v10, v11, v0, v1, v2, v3, v4, v5, v6, v7
    subs x10, x10, #3
    b.hs 3b
4:
    adds x10, x10, #3
    b.eq 6f
5:
    pz_column v8, v9, v10, v11
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    pz_move v0, v1, v2, v3, v4, v5, v6, v7
    pz_move v4, v5, v6, v7, v8, v9, v10, v11
    subs x10, x10, #1
    b.ne 5b
6:
    cbz x11, 7f
    pz_padding v8, v9, v10, v11
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
7:
.endm

// The same, two columns apart.
.macro pz_row2 px
    pz_enter
    subs x10, x10, #2
    b.lo 4f
3:
    pz_column v4, v5, v6, v7
    pz_column v8, v9, v10, v11
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    pz_column v4, v5, v6, v7
    pz_column v0, v1, v2, v3
    \px v8, v9, v10, v11, v4, v5, v6, v7, v0, v1, v2, v3
    subs x10, x10, #2
    b.hs 3b
4:
    tbz x10, #0, 6f
    pz_column v4, v5, v6, v7
    pz_column v8, v9, v10, v11
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
    pz_move v0, v1, v2, v3, v8, v9, v10, v11
6:
    cbz x11, 7f
    pz_column v4, v5, v6, v7
    pz_padding v8, v9, v10, v11
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11
7:
.endm

.macro pz_function name, row, px
.p2align 5
.hidden \name
.globl \name
.type \name, %function
\name:
    \row \px
    pf_leave
.size \name, . - \name
.endm

.text
pz_function paring_neon_i8_depthwise3_dot_1, pz_row1, pz_any
pz_function paring_neon_i8_depthwise3_dot_2, pz_row2, pz_any
pz_function paring_neon_i8_depthwise3_dot_bounded_1, pz_row1, pz_bounded
pz_function paring_neon_i8_depthwise3_dot_bounded_2, pz_row2, pz_bounded
pz_function paring_neon_i8_depthwise3_dot_open_1, pz_row1, pz_open
pz_function paring_neon_i8_depthwise3_dot_open_2, pz_row2, pz_open

.arch_extension nodotprod
