// Products of f32 with sparse weights: tiles of pixels, transposed so that a channel of the input is one run of
// vectors, times the weights that are not zero.
//
// x0 points to the arguments (struct Call of f32_sparse.rs). Registers: x1 places of weights, x16 weights, x17 how many
// each channel has, x3 biases, x2 tile, x4 output, x9 bytes between its rows, x10 what is added or null, x8 groups of
// four channels, w11 flags. The results of four channels lie on the stack, four pixels of each side by side, and are
// written transposed. At the end the arguments say where the weights of the next group are. v0-v7 sums, v16 weights.

// The places of elements are numbers of rows of the tile, 1 << \shift bytes each.
.macro sp_one32 x, l
    add \x, x2, \x, lsl #7
    ld1 {v20.4s, v21.4s, v22.4s, v23.4s}, [\x], #64
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [\x]
    fmla v0.4s, v20.4s, v16.s[\l]
    fmla v1.4s, v21.4s, v16.s[\l]
    fmla v2.4s, v22.4s, v16.s[\l]
    fmla v3.4s, v23.4s, v16.s[\l]
    fmla v4.4s, v24.4s, v16.s[\l]
    fmla v5.4s, v25.4s, v16.s[\l]
    fmla v6.4s, v26.4s, v16.s[\l]
    fmla v7.4s, v27.4s, v16.s[\l]
.endm

.macro sp_one16 x, l
    add \x, x2, \x, lsl #6
    ld1 {v20.4s, v21.4s, v22.4s, v23.4s}, [\x]
    fmla v0.4s, v20.4s, v16.s[\l]
    fmla v1.4s, v21.4s, v16.s[\l]
    fmla v2.4s, v22.4s, v16.s[\l]
    fmla v3.4s, v23.4s, v16.s[\l]
.endm

.macro sp_one8 x, l
    add \x, x2, \x, lsl #5
    ldp q20, q21, [\x]
    fmla v0.4s, v20.4s, v16.s[\l]
    fmla v1.4s, v21.4s, v16.s[\l]
.endm

.macro sp_one4 x, l
    add \x, x2, \x, lsl #4
    ldr q20, [\x]
    fmla v0.4s, v20.4s, v16.s[\l]
.endm

.macro sp_start n
    ldr w7, [x17], #4
    ld1r {v0.4s}, [x3], #4
    .if \n > 1
    mov v1.16b, v0.16b
    .endif
    .if \n > 2
    mov v2.16b, v0.16b
    mov v3.16b, v0.16b
    .endif
    .if \n > 4
    mov v4.16b, v0.16b
    mov v5.16b, v0.16b
    mov v6.16b, v0.16b
    mov v7.16b, v0.16b
    .endif
.endm

.macro sp_keep n
    str q0, [x5]
    .if \n > 1
    str q1, [x5, #64]
    .endif
    .if \n > 2
    str q2, [x5, #128]
    str q3, [x5, #192]
    .endif
    .if \n > 4
    str q4, [x5, #256]
    str q5, [x5, #320]
    str q6, [x5, #384]
    str q7, [x5, #448]
    .endif
.endm

// \n vectors of pixels.
.macro sp_product one, n
    ldp x2, x1, [x0]
    ldp x4, x9, [x0, #16]
    ldp x10, x8, [x0, #32]
    ldp x11, x16, [x0, #56]
    ldp x17, x3, [x0, #72]
    sub sp, sp, #(64 * \n)
1:
    mov x5, sp
    mov w6, #4
2:
    sp_start \n
    subs w7, w7, #4
    b.lo 4f
3:
    ldp w12, w13, [x1], #8
    ldp w14, w15, [x1], #8
    ldr q16, [x16], #16
    \one x12, 0
    \one x13, 1
    \one x14, 2
    \one x15, 3
    subs w7, w7, #4
    b.hs 3b
4:
    ands w7, w7, #3
    b.eq 6f
5:
    ldr w12, [x1], #4
    ldr s16, [x16], #4
    \one x12, 0
    subs w7, w7, #1
    b.ne 5b
6:
    sp_keep \n
    add x5, x5, #16
    subs w6, w6, #1
    b.ne 2b
    add x12, x0, #48
    ld2r {v20.4s, v21.4s}, [x12]
    mov x5, sp
    mov x12, x4
    mov x13, x10
    mov w6, #\n
7:
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5], #64
    cbz x10, 8f
    ld4 {v4.s, v5.s, v6.s, v7.s}[0], [x13], x9
    ld4 {v4.s, v5.s, v6.s, v7.s}[1], [x13], x9
    ld4 {v4.s, v5.s, v6.s, v7.s}[2], [x13], x9
    ld4 {v4.s, v5.s, v6.s, v7.s}[3], [x13], x9
    fadd v0.4s, v0.4s, v4.4s
    fadd v1.4s, v1.4s, v5.4s
    fadd v2.4s, v2.4s, v6.4s
    fadd v3.4s, v3.4s, v7.4s
8:
    tbz w11, #0, 9f
    fmax v0.4s, v0.4s, v20.4s
    fmax v1.4s, v1.4s, v20.4s
    fmax v2.4s, v2.4s, v20.4s
    fmax v3.4s, v3.4s, v20.4s
9:
    tbz w11, #1, 9f
    fmin v0.4s, v0.4s, v21.4s
    fmin v1.4s, v1.4s, v21.4s
    fmin v2.4s, v2.4s, v21.4s
    fmin v3.4s, v3.4s, v21.4s
9:
    st4 {v0.s, v1.s, v2.s, v3.s}[0], [x12], x9
    st4 {v0.s, v1.s, v2.s, v3.s}[1], [x12], x9
    st4 {v0.s, v1.s, v2.s, v3.s}[2], [x12], x9
    st4 {v0.s, v1.s, v2.s, v3.s}[3], [x12], x9
    subs w6, w6, #1
    b.ne 7b
    add x4, x4, #16
    add x13, x10, #16
    cmp x10, #0
    csel x10, x13, x10, ne
    subs x8, x8, #1
    b.ne 1b
    add sp, sp, #(64 * \n)
    str x1, [x0, #8]
    str x16, [x0, #64]
    ret
.endm

.text
pn_function paring_neon_f32_sparse_32
    sp_product sp_one32, 8
pn_end paring_neon_f32_sparse_32

pn_function paring_neon_f32_sparse_16
    sp_product sp_one16, 4
pn_end paring_neon_f32_sparse_16

pn_function paring_neon_f32_sparse_8
    sp_product sp_one8, 2
pn_end paring_neon_f32_sparse_8

pn_function paring_neon_f32_sparse_4
    sp_product sp_one4, 1
pn_end paring_neon_f32_sparse_4

// Four channels of four pixels, transposed to \a-\d.
.macro st_quad a, b, c, d
    ld4 {\a\().s, \b\().s, \c\().s, \d\().s}[0], [x6], x2
    ld4 {\a\().s, \b\().s, \c\().s, \d\().s}[1], [x6], x2
    ld4 {\a\().s, \b\().s, \c\().s, \d\().s}[2], [x6], x2
    ld4 {\a\().s, \b\().s, \c\().s, \d\().s}[3], [x6], x2
.endm

// Sixteen pixels of four channels to a tile whose rows are \pitch bytes apart, from \at bytes on.
.macro st_sixteen pitch, at
    st_quad v0, v1, v2, v3
    st_quad v4, v5, v6, v7
    st_quad v16, v17, v18, v19
    st_quad v20, v21, v22, v23
    stp q0, q4, [x3, #(\at)]
    stp q16, q20, [x3, #(\at + 32)]
    stp q1, q5, [x3, #(\at + \pitch)]
    stp q17, q21, [x3, #(\at + 32 + \pitch)]
    stp q2, q6, [x3, #(\at + 2 * \pitch)]
    stp q18, q22, [x3, #(\at + 32 + 2 * \pitch)]
    stp q3, q7, [x3, #(\at + 3 * \pitch)]
    stp q19, q23, [x3, #(\at + 32 + 3 * \pitch)]
.endm

// Transposes the pixels of a tile: x0 the first one, x1 groups of four channels, x2 bytes between pixels, x3 the tile.
pn_function paring_neon_f32_transpose_32
1:
    mov x6, x0
    st_sixteen 128, 0
    st_sixteen 128, 64
    add x0, x0, #16
    add x3, x3, #512
    subs x1, x1, #1
    b.ne 1b
    ret
pn_end paring_neon_f32_transpose_32

pn_function paring_neon_f32_transpose_16
1:
    mov x6, x0
    st_sixteen 64, 0
    add x0, x0, #16
    add x3, x3, #256
    subs x1, x1, #1
    b.ne 1b
    ret
pn_end paring_neon_f32_transpose_16

pn_function paring_neon_f32_transpose_8
1:
    mov x6, x0
    st_quad v0, v1, v2, v3
    st_quad v4, v5, v6, v7
    stp q0, q4, [x3]
    stp q1, q5, [x3, #32]
    stp q2, q6, [x3, #64]
    stp q3, q7, [x3, #96]
    add x0, x0, #16
    add x3, x3, #128
    subs x1, x1, #1
    b.ne 1b
    ret
pn_end paring_neon_f32_transpose_8

pn_function paring_neon_f32_transpose_4
1:
    mov x6, x0
    st_quad v0, v1, v2, v3
    stp q0, q1, [x3]
    stp q2, q3, [x3, #32]
    add x0, x0, #16
    add x3, x3, #64
    subs x1, x1, #1
    b.ne 1b
    ret
pn_end paring_neon_f32_transpose_4
