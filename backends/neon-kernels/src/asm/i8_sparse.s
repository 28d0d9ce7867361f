// Products of i8 with sparse weights: tiles of pixels, transposed and widened to 16 bits so that a channel of the input
// is one run of vectors, times the weights that are not zero.
//
// x0 points to the arguments (struct Call of i8_sparse.rs). Registers: x1 places of weights, x16 weights, x17 how many
// each channel has, x3 biases, x10 mantissas, x13 shifts, x2 tile, x4 output, x9 bytes between its rows, x8 groups of four
// channels, w11 flags. The results of four channels lie on the stack, sixteen pixels of each side by side, and are
// written transposed. At the end the arguments say where the weights of the next group are. v16-v23 sums, v0 weights,
// v5-v7 zero point and bounds.

// The places of elements are numbers of rows of the tile.
.macro ss_one32 x, l
    add \x, x2, \x, lsl #6
    ld1 {v24.8h, v25.8h, v26.8h, v27.8h}, [\x]
    smlal v16.4s, v24.4h, v0.h[\l]
    smlal2 v17.4s, v24.8h, v0.h[\l]
    smlal v18.4s, v25.4h, v0.h[\l]
    smlal2 v19.4s, v25.8h, v0.h[\l]
    smlal v20.4s, v26.4h, v0.h[\l]
    smlal2 v21.4s, v26.8h, v0.h[\l]
    smlal v22.4s, v27.4h, v0.h[\l]
    smlal2 v23.4s, v27.8h, v0.h[\l]
.endm

.macro ss_one16 x, l
    add \x, x2, \x, lsl #5
    ld1 {v24.8h, v25.8h}, [\x]
    smlal v16.4s, v24.4h, v0.h[\l]
    smlal2 v17.4s, v24.8h, v0.h[\l]
    smlal v18.4s, v25.4h, v0.h[\l]
    smlal2 v19.4s, v25.8h, v0.h[\l]
.endm

.macro ss_one8 x, l
    add \x, x2, \x, lsl #4
    ldr q24, [\x]
    smlal v16.4s, v24.4h, v0.h[\l]
    smlal2 v17.4s, v24.8h, v0.h[\l]
.endm

// Two vectors of sums times the factor of a channel, which shifts right.
.macro ss_scale a, b
    sqrdmulh \a\().4s, \a\().4s, v1.4s
    sqrdmulh \b\().4s, \b\().4s, v1.4s
    ssra \a\().4s, \a\().4s, #31
    ssra \b\().4s, \b\().4s, #31
    srshl \a\().4s, \a\().4s, v2.4s
    srshl \b\().4s, \b\().4s, v2.4s
.endm

// The same for any factor: shifts left in v3, right in v2.
.macro ss_scale_any a
    sqshl \a\().4s, \a\().4s, v3.4s
    sqrdmulh \a\().4s, \a\().4s, v1.4s
    and v4.16b, \a\().16b, v2.16b
    sshr v4.4s, v4.4s, #31
    sqadd \a\().4s, \a\().4s, v4.4s
    srshl \a\().4s, \a\().4s, v2.4s
.endm

// Eight pixels to bytes before the bounds, the lower half of \a.
.macro ss_narrow a, b
    sqxtn \a\().4h, \a\().4s
    sqxtn2 \a\().8h, \b\().4s
    sqadd \a\().8h, \a\().8h, v5.8h
.endm

.macro ss_bounds a
    smax \a\().16b, \a\().16b, v6.16b
    smin \a\().16b, \a\().16b, v7.16b
.endm

// A channel's sums to bytes on the stack; \n vectors of sums.
.macro ss_finish n
    ld1r {v1.4s}, [x10], #4
    ld1r {v2.4s}, [x13], #4
    cbnz w11, 71f
    ss_scale v16, v17
    .if \n > 2
    ss_scale v18, v19
    .endif
    .if \n > 4
    ss_scale v20, v21
    ss_scale v22, v23
    .endif
    b 72f
71:
    movi v4.4s, #0
    smax v3.4s, v2.4s, v4.4s
    smin v2.4s, v2.4s, v4.4s
    ss_scale_any v16
    ss_scale_any v17
    .if \n > 2
    ss_scale_any v18
    ss_scale_any v19
    .endif
    .if \n > 4
    ss_scale_any v20
    ss_scale_any v21
    ss_scale_any v22
    ss_scale_any v23
    .endif
72:
    ss_narrow v16, v17
    .if \n > 2
    ss_narrow v18, v19
    .endif
    sqxtn v16.8b, v16.8h
    .if \n > 2
    sqxtn2 v16.16b, v18.8h
    .endif
    ss_bounds v16
    str q16, [x5]
    .if \n > 4
    ss_narrow v20, v21
    ss_narrow v22, v23
    sqxtn v20.8b, v20.8h
    sqxtn2 v20.16b, v22.8h
    ss_bounds v20
    str q20, [x5, #64]
    .endif
.endm

// Four channels of eight pixels from the byte \from of v24-v27 on.
.macro ss_put from
    st4 {v24.b, v25.b, v26.b, v27.b}[\from + 0], [x12], x9
    st4 {v24.b, v25.b, v26.b, v27.b}[\from + 1], [x12], x9
    st4 {v24.b, v25.b, v26.b, v27.b}[\from + 2], [x12], x9
    st4 {v24.b, v25.b, v26.b, v27.b}[\from + 3], [x12], x9
    st4 {v24.b, v25.b, v26.b, v27.b}[\from + 4], [x12], x9
    st4 {v24.b, v25.b, v26.b, v27.b}[\from + 5], [x12], x9
    st4 {v24.b, v25.b, v26.b, v27.b}[\from + 6], [x12], x9
    st4 {v24.b, v25.b, v26.b, v27.b}[\from + 7], [x12], x9
.endm

.macro ss_product one, n
    ldp x2, x1, [x0]
    ldp x4, x9, [x0, #16]
    ldp x8, x11, [x0, #32]
    ldp x16, x17, [x0, #48]
    ldp x3, x10, [x0, #64]
    ldp x13, x12, [x0, #80]
    ld1 {v5.16b, v6.16b, v7.16b}, [x12]
    sub sp, sp, #128
1:
    mov x5, sp
    mov w6, #4
2:
    ldr w7, [x17], #4
    ld1r {v16.4s}, [x3], #4
    mov v17.16b, v16.16b
    .if \n > 2
    mov v18.16b, v16.16b
    mov v19.16b, v16.16b
    .endif
    .if \n > 4
    mov v20.16b, v16.16b
    mov v21.16b, v16.16b
    mov v22.16b, v16.16b
    mov v23.16b, v16.16b
    .endif
    subs w7, w7, #4
    b.lo 4f
3:
    ldp w12, w14, [x1], #8
    ldr d0, [x16], #8
    \one x12, 0
    ldp w12, w15, [x1], #8
    \one x14, 1
    \one x12, 2
    \one x15, 3
    subs w7, w7, #4
    b.hs 3b
4:
    ands w7, w7, #3
    b.eq 6f
5:
    ldr w12, [x1], #4
    ldr h0, [x16], #2
    \one x12, 0
    subs w7, w7, #1
    b.ne 5b
6:
    ss_finish \n
    add x5, x5, #16
    subs w6, w6, #1
    b.ne 2b
    mov x5, sp
    mov x12, x4
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x5], #64
    ss_put 0
    .if \n > 2
    ss_put 8
    .endif
    .if \n > 4
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x5]
    ss_put 0
    ss_put 8
    .endif
    add x4, x4, #4
    subs x8, x8, #1
    b.ne 1b
    add sp, sp, #128
    str x1, [x0, #8]
    str x16, [x0, #48]
    ret
.endm

.text
pn_function paring_neon_i8_sparse_32
    ss_product ss_one32, 8
pn_end paring_neon_i8_sparse_32

pn_function paring_neon_i8_sparse_16
    ss_product ss_one16, 4
pn_end paring_neon_i8_sparse_16

pn_function paring_neon_i8_sparse_8
    ss_product ss_one8, 2
pn_end paring_neon_i8_sparse_8

// Eight pixels of four channels to the bytes of \a-\d from \from on.
.macro sw_get a, b, c, d, from
    ld4 {\a\().b, \b\().b, \c\().b, \d\().b}[\from + 0], [x6], x2
    ld4 {\a\().b, \b\().b, \c\().b, \d\().b}[\from + 1], [x6], x2
    ld4 {\a\().b, \b\().b, \c\().b, \d\().b}[\from + 2], [x6], x2
    ld4 {\a\().b, \b\().b, \c\().b, \d\().b}[\from + 3], [x6], x2
    ld4 {\a\().b, \b\().b, \c\().b, \d\().b}[\from + 4], [x6], x2
    ld4 {\a\().b, \b\().b, \c\().b, \d\().b}[\from + 5], [x6], x2
    ld4 {\a\().b, \b\().b, \c\().b, \d\().b}[\from + 6], [x6], x2
    ld4 {\a\().b, \b\().b, \c\().b, \d\().b}[\from + 7], [x6], x2
.endm

// Two vectors of bytes, one after the other: a row of 32 pixels, or two rows of 16.
.macro sw_rows a, b
    sxtl v16.8h, \a\().8b
    sxtl2 v17.8h, \a\().16b
    sxtl v18.8h, \b\().8b
    sxtl2 v19.8h, \b\().16b
    st1 {v16.8h, v17.8h, v18.8h, v19.8h}, [x3], #64
.endm

// Transposes the pixels of a tile and widens them: x0 the first one, x1 groups of four channels, x2 bytes between
// pixels, x3 the tile.
pn_function paring_neon_i8_widen_32
1:
    mov x6, x0
    sw_get v0, v1, v2, v3, 0
    sw_get v0, v1, v2, v3, 8
    sw_get v4, v5, v6, v7, 0
    sw_get v4, v5, v6, v7, 8
    sw_rows v0, v4
    sw_rows v1, v5
    sw_rows v2, v6
    sw_rows v3, v7
    add x0, x0, #4
    subs x1, x1, #1
    b.ne 1b
    ret
pn_end paring_neon_i8_widen_32

pn_function paring_neon_i8_widen_16
1:
    mov x6, x0
    sw_get v0, v1, v2, v3, 0
    sw_get v0, v1, v2, v3, 8
    sw_rows v0, v1
    sw_rows v2, v3
    add x0, x0, #4
    subs x1, x1, #1
    b.ne 1b
    ret
pn_end paring_neon_i8_widen_16

pn_function paring_neon_i8_widen_8
1:
    mov x6, x0
    sw_get v0, v1, v2, v3, 0
    sxtl v16.8h, v0.8b
    sxtl v17.8h, v1.8b
    sxtl v18.8h, v2.8b
    sxtl v19.8h, v3.8b
    st1 {v16.8h, v17.8h, v18.8h, v19.8h}, [x3], #64
    add x0, x0, #4
    subs x1, x1, #1
    b.ne 1b
    ret
pn_end paring_neon_i8_widen_8
