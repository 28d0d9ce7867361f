// Products of i8 by widening multiplications: four rows or one row times eight channels of a panel.
//
// x0 points to the arguments; registers as in f32_gemm.s but x5 points to the sums that channels begin
// with, each beside a zero, x7 is a multiple of four and x10 points to the weights. Weights lie in
// groups of four elements of each channel, so that a group of the left side, repeated, meets them:
// products of two groups are added in 16 bits, neighbours of those to v0-v15 in 32 bits.

.macro pi_enter
    pf_enter
.endm

// The same with two registers more: x19 says of which steps of 16 elements two products may not be added in 16
// bits, a byte a step; it is null where there are none. x20 is scratch.
.macro pm_enter
    stp x19, x20, [sp, #-16]!
    pf_enter
.endm

.macro pm_leave
    ldp d14, d15, [sp, #48]
    ldp d12, d13, [sp, #32]
    ldp d10, d11, [sp, #16]
    ldp d8, d9, [sp], #64
    ldp x19, x20, [sp], #16
    ret
.endm

// Sixteen elements of a row.
.macro pi_row16 x, a, b, c, d
    ld4r {v16.4s, v17.4s, v18.4s, v19.4s}, [\x], #16
    smull v28.8h, v20.8b, v16.8b
    smull2 v29.8h, v20.16b, v16.16b
    smull v30.8h, v21.8b, v16.8b
    smull2 v31.8h, v21.16b, v16.16b
    smlal v28.8h, v22.8b, v17.8b
    smlal2 v29.8h, v22.16b, v17.16b
    smlal v30.8h, v23.8b, v17.8b
    smlal2 v31.8h, v23.16b, v17.16b
    sadalp \a\().4s, v28.8h
    sadalp \b\().4s, v29.8h
    sadalp \c\().4s, v30.8h
    sadalp \d\().4s, v31.8h
    smull v28.8h, v24.8b, v18.8b
    smull2 v29.8h, v24.16b, v18.16b
    smull v30.8h, v25.8b, v18.8b
    smull2 v31.8h, v25.16b, v18.16b
    smlal v28.8h, v26.8b, v19.8b
    smlal2 v29.8h, v26.16b, v19.16b
    smlal v30.8h, v27.8b, v19.8b
    smlal2 v31.8h, v27.16b, v19.16b
    sadalp \a\().4s, v28.8h
    sadalp \b\().4s, v29.8h
    sadalp \c\().4s, v30.8h
    sadalp \d\().4s, v31.8h
.endm

// Eight elements of a row.
.macro pi_row8 x, a, b, c, d
    ld2r {v16.4s, v17.4s}, [\x], #8
    smull v28.8h, v20.8b, v16.8b
    smull2 v29.8h, v20.16b, v16.16b
    smull v30.8h, v21.8b, v16.8b
    smull2 v31.8h, v21.16b, v16.16b
    smlal v28.8h, v22.8b, v17.8b
    smlal2 v29.8h, v22.16b, v17.16b
    smlal v30.8h, v23.8b, v17.8b
    smlal2 v31.8h, v23.16b, v17.16b
    sadalp \a\().4s, v28.8h
    sadalp \b\().4s, v29.8h
    sadalp \c\().4s, v30.8h
    sadalp \d\().4s, v31.8h
.endm

// Four elements of a row.
.macro pi_row4 x, a, b, c, d
    ld1r {v16.4s}, [\x], #4
    smull v28.8h, v20.8b, v16.8b
    smull2 v29.8h, v20.16b, v16.16b
    smull v30.8h, v21.8b, v16.8b
    smull2 v31.8h, v21.16b, v16.16b
    sadalp \a\().4s, v28.8h
    sadalp \b\().4s, v29.8h
    sadalp \c\().4s, v30.8h
    sadalp \d\().4s, v31.8h
.endm

// The same for all rows of a tile: four, or one.
.macro pi_rows4 row
    \row x12, v0, v1, v2, v3
    \row x13, v4, v5, v6, v7
    \row x14, v8, v9, v10, v11
    \row x15, v12, v13, v14, v15
.endm

.macro pi_rows1 row
    \row x12, v0, v1, v2, v3
.endm

// The products of a tap for all rows; the weights of a group are \step bytes after those before.
.macro pi_tap rows, step
    pf_pieces\rows 0
    cbnz x19, 6f
    subs x17, x7, #16
    b.lo 4f
3:
    ldp q20, q21, [x11], #\step
    ldp q22, q23, [x11], #\step
    ldp q24, q25, [x11], #\step
    ldp q26, q27, [x11], #\step
    pi_rows\rows pi_row16
    subs x17, x17, #16
    b.hs 3b
4:
    tbz x17, #3, 5f
    ldp q20, q21, [x11], #\step
    ldp q22, q23, [x11], #\step
    pi_rows\rows pi_row8
5:
    tbz x17, #2, 8f
    mov x17, #4
    b 7f
6:
    subs x17, x7, #16
    b.lo 66f
61:
    ldrb w20, [x19], #1
    cbnz w20, 63f
    ldp q20, q21, [x11], #\step
    ldp q22, q23, [x11], #\step
    ldp q24, q25, [x11], #\step
    ldp q26, q27, [x11], #\step
    pi_rows\rows pi_row16
62:
    subs x17, x17, #16
    b.hs 61b
    b 66f
63:
    mov w20, #4
64:
    ldp q20, q21, [x11], #\step
    pi_rows\rows pi_row4
    subs w20, w20, #1
    b.ne 64b
    b 62b
66:
    ands x17, x17, #12
    b.eq 8f
7:
    ldp q20, q21, [x11], #\step
    pi_rows\rows pi_row4
    subs x17, x17, #4
    b.ne 7b
8:
.endm

// Requantization of two registers with factors \m and \n and shifts \s and \t where all shift right:
// a doubling product, less one where it is negative, shifted with ties upward.
.macro pi_scale2 a, b, m, n, s, t
    sqrdmulh \a\().4s, \a\().4s, \m\().4s
    sqrdmulh \b\().4s, \b\().4s, \n\().4s
    ssra \a\().4s, \a\().4s, #31
    ssra \b\().4s, \b\().4s, #31
    srshl \a\().4s, \a\().4s, \s\().4s
    srshl \b\().4s, \b\().4s, \t\().4s
.endm

// The same where negative results become the zero point, so that it does not matter how they are rounded.
.macro pi_relu2 a, b, m, n, s, t
    sqrdmulh \a\().4s, \a\().4s, \m\().4s
    sqrdmulh \b\().4s, \b\().4s, \n\().4s
    srshl \a\().4s, \a\().4s, \s\().4s
    srshl \b\().4s, \b\().4s, \t\().4s
.endm

// The same for any shifts: left ones in \l, right ones in \s; v31 is overwritten.
.macro pi_scale_any a, m, l, s
    sqshl \a\().4s, \a\().4s, \l\().4s
    sqrdmulh \a\().4s, \a\().4s, \m\().4s
    and v31.16b, \a\().16b, \s\().16b
    sshr v31.4s, v31.4s, #31
    sqadd \a\().4s, \a\().4s, v31.4s
    srshl \a\().4s, \a\().4s, \s\().4s
.endm

// The sums of four rows of eight channels in v0-v7 to bytes: factors at x12, constants of all channels at x13, flags in
// w16. Rows that are left go on at the caller's label 1.
.macro pi_finish4x8 leave
    ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x12]
    ld1 {v20.4s, v21.4s, v22.4s}, [x13]
    tbnz w16, #0, 3f
    tbnz w16, #4, 93f
    pi_scale2 v0, v1, v16, v17, v18, v19
    pi_scale2 v2, v3, v16, v17, v18, v19
    pi_scale2 v4, v5, v16, v17, v18, v19
    pi_scale2 v6, v7, v16, v17, v18, v19
4:
    sqxtn v0.4h, v0.4s
    sqxtn v2.4h, v2.4s
    sqxtn v4.4h, v4.4s
    sqxtn v6.4h, v6.4s
    sqxtn2 v0.8h, v1.4s
    sqxtn2 v2.8h, v3.4s
    sqxtn2 v4.8h, v5.4s
    sqxtn2 v6.8h, v7.4s
    sqadd v0.8h, v0.8h, v20.8h
    sqadd v2.8h, v2.8h, v20.8h
    sqadd v4.8h, v4.8h, v20.8h
    sqadd v6.8h, v6.8h, v20.8h
    sqxtn v0.8b, v0.8h
    sqxtn v4.8b, v4.8h
    sqxtn2 v0.16b, v2.8h
    sqxtn2 v4.16b, v6.8h
    tbz w16, #2, 5f
    smax v0.16b, v0.16b, v21.16b
    smax v4.16b, v4.16b, v21.16b
    smin v0.16b, v0.16b, v22.16b
    smin v4.16b, v4.16b, v22.16b
5:
    st1 {v0.d}[0], [x4], x9
    st1 {v0.d}[1], [x4], x9
    st1 {v4.d}[0], [x4], x9
    st1 {v4.d}[1], [x4], x9
    subs x8, x8, #1
    b.ne 1b
    \leave
3:
    movi v30.4s, #0
    smax v24.4s, v18.4s, v30.4s
    smax v25.4s, v19.4s, v30.4s
    smin v18.4s, v18.4s, v30.4s
    smin v19.4s, v19.4s, v30.4s
    pi_scale_any v0, v16, v24, v18
    pi_scale_any v1, v17, v25, v19
    pi_scale_any v2, v16, v24, v18
    pi_scale_any v3, v17, v25, v19
    pi_scale_any v4, v16, v24, v18
    pi_scale_any v5, v17, v25, v19
    pi_scale_any v6, v16, v24, v18
    pi_scale_any v7, v17, v25, v19
    b 4b
93:
    pi_relu2 v0, v1, v16, v17, v18, v19
    pi_relu2 v2, v3, v16, v17, v18, v19
    pi_relu2 v4, v5, v16, v17, v18, v19
    pi_relu2 v6, v7, v16, v17, v18, v19
    b 4b
.endm

// The same for one row in v0 and v1.
.macro pi_finish1x8 leave
    ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x12]
    ld1 {v20.4s, v21.4s, v22.4s}, [x13]
    tbnz w16, #0, 3f
    pi_scale2 v0, v1, v16, v17, v18, v19
4:
    sqxtn v0.4h, v0.4s
    sqxtn2 v0.8h, v1.4s
    sqadd v0.8h, v0.8h, v20.8h
    sqxtn v0.8b, v0.8h
    smax v0.8b, v0.8b, v21.8b
    smin v0.8b, v0.8b, v22.8b
    str d0, [x4]
    \leave
3:
    movi v30.4s, #0
    smax v24.4s, v18.4s, v30.4s
    smax v25.4s, v19.4s, v30.4s
    smin v18.4s, v18.4s, v30.4s
    smin v19.4s, v19.4s, v30.4s
    pi_scale_any v0, v16, v24, v18
    pi_scale_any v1, v17, v25, v19
    b 4b
.endm

.macro pi_tile4 step
1:
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5]
    ld1 {v4.4s, v5.4s, v6.4s, v7.4s}, [x5]
    ld1 {v8.4s, v9.4s, v10.4s, v11.4s}, [x5]
    ld1 {v12.4s, v13.4s, v14.4s, v15.4s}, [x5]
    ldr x19, [x0, #112]
    mov x11, x10
    mov x16, x6
2:
    pi_tap 4, \step
    subs x16, x16, #1
    b.ne 2b
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    addp v0.4s, v0.4s, v1.4s
    addp v1.4s, v2.4s, v3.4s
    addp v2.4s, v4.4s, v5.4s
    addp v3.4s, v6.4s, v7.4s
    addp v4.4s, v8.4s, v9.4s
    addp v5.4s, v10.4s, v11.4s
    addp v6.4s, v12.4s, v13.4s
    addp v7.4s, v14.4s, v15.4s
    pi_finish4x8 pm_leave
.endm

.macro pi_tile1 step
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5]
    ldr x19, [x0, #112]
    mov x11, x10
    mov x16, x6
2:
    pi_tap 1, \step
    subs x16, x16, #1
    b.ne 2b
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    addp v0.4s, v0.4s, v1.4s
    addp v1.4s, v2.4s, v3.4s
    pi_finish1x8 pm_leave
.endm

.text
pn_function paring_neon_i8_mlal_4x8_of16
    pm_enter
    pi_tile4 64
pn_end paring_neon_i8_mlal_4x8_of16

pn_function paring_neon_i8_mlal_4x8
    pm_enter
    pi_tile4 32
pn_end paring_neon_i8_mlal_4x8

pn_function paring_neon_i8_mlal_1x8_of16
    pm_enter
    pi_tile1 64
pn_end paring_neon_i8_mlal_1x8_of16

pn_function paring_neon_i8_mlal_1x8
    pm_enter
    pi_tile1 32
pn_end paring_neon_i8_mlal_1x8
