// Products of f32: tiles of four rows or one row times panels of 16 or 8 channels.
//
// x0 points to the arguments (struct Call of gemm.rs). Registers of a function:
// x1 table, x2 elements, x3 padding or null, x4 output, x5 panel, x6 taps, x7 depth, x8 tiles,
// x9 bytes between rows of the output, x10 what is added or null, x11 weights, x12-x15 pieces,
// x16 taps left, x17 elements left. v0-v15 sums, v16-v23 left side, v24-v31 weights.

// The beginning and the end of a function.
.macro pn_function name
    .p2align 5
    .hidden \name
    .globl \name
    .type \name, %function
\name:
.endm

.macro pn_end name
    .size \name, . - \name
.endm

.macro pf_enter
    stp d8, d9, [sp, #-64]!
    stp d10, d11, [sp, #16]
    stp d12, d13, [sp, #32]
    stp d14, d15, [sp, #48]
    ldp x2, x1, [x0]
    ldp x3, x4, [x0, #16]
    ldp x10, x5, [x0, #32]
    ldp x9, x6, [x0, #48]
    ldp x7, x8, [x0, #64]
.endm

.macro pf_leave
    ldp d14, d15, [sp, #48]
    ldp d12, d13, [sp, #32]
    ldp d10, d11, [sp, #16]
    ldp d8, d9, [sp], #64
    ret
.endm

// The places of four pieces, elements of 2^shift bytes.
.macro pf_pieces4 shift
    ldp w12, w13, [x1], #8
    ldp w14, w15, [x1], #8
    cbnz x3, 91f
    add x12, x2, w12, uxtw #\shift
    add x13, x2, w13, uxtw #\shift
    add x14, x2, w14, uxtw #\shift
    add x15, x2, w15, uxtw #\shift
    b 92f
91:
    cmn w12, #1
    add x12, x2, w12, uxtw #\shift
    csel x12, x3, x12, eq
    cmn w13, #1
    add x13, x2, w13, uxtw #\shift
    csel x13, x3, x13, eq
    cmn w14, #1
    add x14, x2, w14, uxtw #\shift
    csel x14, x3, x14, eq
    cmn w15, #1
    add x15, x2, w15, uxtw #\shift
    csel x15, x3, x15, eq
92:
.endm

// The place of the first piece of a tile.
.macro pf_pieces1 shift
    ldr w12, [x1], #16
    cmn w12, #1
    add x12, x2, w12, uxtw #\shift
    csel x12, x3, x12, eq
.endm

.macro pf_k16 w0, w1, w2, w3, a0, a1, a2, a3, l
    fmla v0.4s, \w0\().4s, \a0\().s[\l]
    fmla v1.4s, \w1\().4s, \a0\().s[\l]
    fmla v2.4s, \w2\().4s, \a0\().s[\l]
    fmla v3.4s, \w3\().4s, \a0\().s[\l]
    fmla v4.4s, \w0\().4s, \a1\().s[\l]
    fmla v5.4s, \w1\().4s, \a1\().s[\l]
    fmla v6.4s, \w2\().4s, \a1\().s[\l]
    fmla v7.4s, \w3\().4s, \a1\().s[\l]
    fmla v8.4s, \w0\().4s, \a2\().s[\l]
    fmla v9.4s, \w1\().4s, \a2\().s[\l]
    fmla v10.4s, \w2\().4s, \a2\().s[\l]
    fmla v11.4s, \w3\().4s, \a2\().s[\l]
    fmla v12.4s, \w0\().4s, \a3\().s[\l]
    fmla v13.4s, \w1\().4s, \a3\().s[\l]
    fmla v14.4s, \w2\().4s, \a3\().s[\l]
    fmla v15.4s, \w3\().4s, \a3\().s[\l]
.endm

.macro pf_k8 w0, w1, a0, a1, a2, a3, l
    fmla v0.4s, \w0\().4s, \a0\().s[\l]
    fmla v1.4s, \w1\().4s, \a0\().s[\l]
    fmla v2.4s, \w0\().4s, \a1\().s[\l]
    fmla v3.4s, \w1\().4s, \a1\().s[\l]
    fmla v4.4s, \w0\().4s, \a2\().s[\l]
    fmla v5.4s, \w1\().4s, \a2\().s[\l]
    fmla v6.4s, \w0\().4s, \a3\().s[\l]
    fmla v7.4s, \w1\().4s, \a3\().s[\l]
.endm

.macro pf_one16 w0, w1, w2, w3, a, l
    fmla v0.4s, \w0\().4s, \a\().s[\l]
    fmla v1.4s, \w1\().4s, \a\().s[\l]
    fmla v2.4s, \w2\().4s, \a\().s[\l]
    fmla v3.4s, \w3\().4s, \a\().s[\l]
.endm

.macro pf_one8 w0, w1, a, l
    fmla v0.4s, \w0\().4s, \a\().s[\l]
    fmla v1.4s, \w1\().4s, \a\().s[\l]
.endm

// Four elements of every row, wide panel.
.macro pf_four16 a0, a1, a2, a3
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x11], #64
    ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x11], #64
    pf_k16 v24, v25, v26, v27, \a0, \a1, \a2, \a3, 0
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x11], #64
    pf_k16 v28, v29, v30, v31, \a0, \a1, \a2, \a3, 1
    ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x11], #64
    pf_k16 v24, v25, v26, v27, \a0, \a1, \a2, \a3, 2
    pf_k16 v28, v29, v30, v31, \a0, \a1, \a2, \a3, 3
.endm

.macro pf_four8 a0, a1, a2, a3
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x11], #64
    ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x11], #64
    pf_k8 v24, v25, \a0, \a1, \a2, \a3, 0
    pf_k8 v26, v27, \a0, \a1, \a2, \a3, 1
    pf_k8 v28, v29, \a0, \a1, \a2, \a3, 2
    pf_k8 v30, v31, \a0, \a1, \a2, \a3, 3
.endm

.macro pf_load8
    ldp q16, q17, [x12], #32
    ldp q18, q19, [x13], #32
    ldp q20, q21, [x14], #32
    ldp q22, q23, [x15], #32
.endm

.macro pf_load4
    ldr q16, [x12], #16
    ldr q18, [x13], #16
    ldr q20, [x14], #16
    ldr q22, [x15], #16
.endm

.macro pf_load1
    ldr s16, [x12], #4
    ldr s18, [x13], #4
    ldr s20, [x14], #4
    ldr s22, [x15], #4
.endm

.macro pf_bounds
    add x12, x0, #80
    ld2r {v20.4s, v21.4s}, [x12]
.endm

.macro pf_clamp4 a, b, c, d
    fmax \a\().4s, \a\().4s, v20.4s
    fmax \b\().4s, \b\().4s, v20.4s
    fmax \c\().4s, \c\().4s, v20.4s
    fmax \d\().4s, \d\().4s, v20.4s
.endm

.macro pf_top4 a, b, c, d
    fmin \a\().4s, \a\().4s, v21.4s
    fmin \b\().4s, \b\().4s, v21.4s
    fmin \c\().4s, \c\().4s, v21.4s
    fmin \d\().4s, \d\().4s, v21.4s
.endm

.macro pf_add4 a, b, c, d
    ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x10], x9
    fadd \a\().4s, \a\().4s, v16.4s
    fadd \b\().4s, \b\().4s, v17.4s
    fadd \c\().4s, \c\().4s, v18.4s
    fadd \d\().4s, \d\().4s, v19.4s
.endm

.macro pf_add2 a, b
    ld1 {v16.4s, v17.4s}, [x10], x9
    fadd \a\().4s, \a\().4s, v16.4s
    fadd \b\().4s, \b\().4s, v17.4s
.endm

// The products of all taps for four rows, whose vectors have \n = 2^\bit elements of 2^\shift bytes: \many takes a vector
// of each row, \one takes \step elements, as long as some of \left are there.
.macro pf_taps4 shift, n, bit, left, step, many, one
2:
    pf_pieces4 \shift
    subs x17, x7, #2 * \n
    b.lo 4f
3:
    pf_load8
    \many v16, v18, v20, v22
    \many v17, v19, v21, v23
    subs x17, x17, #2 * \n
    b.hs 3b
4:
    tbz x17, #\bit, 5f
    pf_load4
    \many v16, v18, v20, v22
5:
    ands x17, x17, #\left
    b.eq 7f
6:
    pf_load1
    \one
    subs x17, x17, #\step
    b.ne 6b
7:
    subs x16, x16, #1
    b.ne 2b
.endm

// The same for one row; \by is given on.
.macro pf_taps1 shift, n, left, step, many, one, by
2:
    pf_pieces1 \shift
    subs x17, x7, #\n
    b.lo 4f
3:
    ldr q16, [x12], #16
    \many \by
    subs x17, x17, #\n
    b.hs 3b
4:
    ands x17, x17, #\left
    b.eq 6f
5:
    ldr s16, [x12], #4
    \one \by
    subs x17, x17, #\step
    b.ne 5b
6:
    subs x16, x16, #1
    b.ne 2b
.endm

.macro pf_last16
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x11], #64
    pf_k16 v24, v25, v26, v27, v16, v18, v20, v22, 0
.endm

.macro pf_last8
    ldp q24, q25, [x11], #32
    pf_k8 v24, v25, v16, v18, v20, v22, 0
.endm

// Elements of one row in v16, wide panel and narrow panel.
.macro pf_fours16
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x11], #64
    ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x11], #64
    pf_one16 v24, v25, v26, v27, v16, 0
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x11], #64
    pf_one16 v28, v29, v30, v31, v16, 1
    ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x11], #64
    pf_one16 v24, v25, v26, v27, v16, 2
    pf_one16 v28, v29, v30, v31, v16, 3
.endm

.macro pf_ones16
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x11], #64
    pf_one16 v24, v25, v26, v27, v16, 0
.endm

.macro pf_fours8
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x11], #64
    ld1 {v28.4s, v29.4s, v30.4s, v31.4s}, [x11], #64
    pf_one8 v24, v25, v16, 0
    pf_one8 v26, v27, v16, 1
    pf_one8 v28, v29, v16, 2
    pf_one8 v30, v31, v16, 3
.endm

.macro pf_ones8
    ldp q24, q25, [x11], #32
    pf_one8 v24, v25, v16, 0
.endm

// The same with weights of half precision.
.macro pg_k16 a, b, l
    fcvtl v28.4s, \a\().4h
    fcvtl2 v29.4s, \a\().8h
    fcvtl v30.4s, \b\().4h
    fcvtl2 v31.4s, \b\().8h
    pf_one16 v28, v29, v30, v31, v16, \l
.endm

.macro pg_fours16
    ld1 {v20.8h, v21.8h, v22.8h, v23.8h}, [x11], #64
    ld1 {v24.8h, v25.8h, v26.8h, v27.8h}, [x11], #64
    pg_k16 v20, v21, 0
    pg_k16 v22, v23, 1
    pg_k16 v24, v25, 2
    pg_k16 v26, v27, 3
.endm

.macro pg_ones16
    ldp q20, q21, [x11], #32
    pg_k16 v20, v21, 0
.endm

.macro pg_k8 a, l
    fcvtl v28.4s, \a\().4h
    fcvtl2 v29.4s, \a\().8h
    pf_one8 v28, v29, v16, \l
.endm

.macro pg_fours8
    ld1 {v20.8h, v21.8h, v22.8h, v23.8h}, [x11], #64
    pg_k8 v20, 0
    pg_k8 v21, 1
    pg_k8 v22, 2
    pg_k8 v23, 3
.endm

.macro pg_ones8
    ldr q20, [x11], #16
    pg_k8 v20, 0
.endm

// One row times a wide panel: what is done with four elements, and with one.
.macro pf_row16 four, one
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5]
    mov x16, x6
    pf_taps1 2, 4, 3, 1, \four, \one
    cbz x10, 8f
    pf_add4 v0, v1, v2, v3
8:
    ldr w16, [x0, #88]
    pf_bounds
    tbz w16, #0, 9f
    pf_clamp4 v0, v1, v2, v3
9:
    tbz w16, #1, 9f
    pf_top4 v0, v1, v2, v3
9:
    st1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x4]
    pf_leave
.endm

.macro pf_row8 four, one
    ld1 {v0.4s, v1.4s}, [x5]
    mov x16, x6
    pf_taps1 2, 4, 3, 1, \four, \one
    cbz x10, 8f
    pf_add2 v0, v1
8:
    ldr w16, [x0, #88]
    pf_bounds
    tbz w16, #0, 9f
    fmax v0.4s, v0.4s, v20.4s
    fmax v1.4s, v1.4s, v20.4s
9:
    tbz w16, #1, 9f
    fmin v0.4s, v0.4s, v21.4s
    fmin v1.4s, v1.4s, v21.4s
9:
    st1 {v0.4s, v1.4s}, [x4]
    pf_leave
.endm

.text
pn_function paring_neon_f32_4x16
    pf_enter
1:
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5]
    ld1 {v4.4s, v5.4s, v6.4s, v7.4s}, [x5]
    ld1 {v8.4s, v9.4s, v10.4s, v11.4s}, [x5]
    ld1 {v12.4s, v13.4s, v14.4s, v15.4s}, [x5]
    add x11, x5, #64
    mov x16, x6
    pf_taps4 2, 4, 2, 3, 1, pf_four16, pf_last16
    cbz x10, 8f
    pf_add4 v0, v1, v2, v3
    pf_add4 v4, v5, v6, v7
    pf_add4 v8, v9, v10, v11
    pf_add4 v12, v13, v14, v15
8:
    ldr w16, [x0, #88]
    pf_bounds
    tbz w16, #0, 9f
    pf_clamp4 v0, v1, v2, v3
    pf_clamp4 v4, v5, v6, v7
    pf_clamp4 v8, v9, v10, v11
    pf_clamp4 v12, v13, v14, v15
9:
    tbz w16, #1, 9f
    pf_top4 v0, v1, v2, v3
    pf_top4 v4, v5, v6, v7
    pf_top4 v8, v9, v10, v11
    pf_top4 v12, v13, v14, v15
9:
    st1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x4], x9
    st1 {v4.4s, v5.4s, v6.4s, v7.4s}, [x4], x9
    st1 {v8.4s, v9.4s, v10.4s, v11.4s}, [x4], x9
    st1 {v12.4s, v13.4s, v14.4s, v15.4s}, [x4], x9
    subs x8, x8, #1
    b.ne 1b
    pf_leave
pn_end paring_neon_f32_4x16

pn_function paring_neon_f32_4x8
    pf_enter
1:
    ld1 {v0.4s, v1.4s}, [x5]
    ld1 {v2.4s, v3.4s}, [x5]
    ld1 {v4.4s, v5.4s}, [x5]
    ld1 {v6.4s, v7.4s}, [x5]
    add x11, x5, #32
    mov x16, x6
    pf_taps4 2, 4, 2, 3, 1, pf_four8, pf_last8
    cbz x10, 8f
    pf_add2 v0, v1
    pf_add2 v2, v3
    pf_add2 v4, v5
    pf_add2 v6, v7
8:
    ldr w16, [x0, #88]
    pf_bounds
    tbz w16, #0, 9f
    pf_clamp4 v0, v1, v2, v3
    pf_clamp4 v4, v5, v6, v7
9:
    tbz w16, #1, 9f
    pf_top4 v0, v1, v2, v3
    pf_top4 v4, v5, v6, v7
9:
    st1 {v0.4s, v1.4s}, [x4], x9
    st1 {v2.4s, v3.4s}, [x4], x9
    st1 {v4.4s, v5.4s}, [x4], x9
    st1 {v6.4s, v7.4s}, [x4], x9
    subs x8, x8, #1
    b.ne 1b
    pf_leave
pn_end paring_neon_f32_4x8

pn_function paring_neon_f32_1x16
    pf_enter
    add x11, x5, #64
    pf_row16 pf_fours16, pf_ones16
pn_end paring_neon_f32_1x16

pn_function paring_neon_f32_1x8
    pf_enter
    add x11, x5, #32
    pf_row8 pf_fours8, pf_ones8
pn_end paring_neon_f32_1x8

pn_function paring_neon_f32_1x16_of_halves
    pf_enter
    ldr x11, [x0, #120]
    pf_row16 pg_fours16, pg_ones16
pn_end paring_neon_f32_1x16_of_halves

pn_function paring_neon_f32_1x8_of_halves
    pf_enter
    ldr x11, [x0, #120]
    pf_row8 pg_fours8, pg_ones8
pn_end paring_neon_f32_1x8_of_halves
