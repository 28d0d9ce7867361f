// Products of i8 with the matrix instruction: four rows times 16 channels.
//
// Arguments and registers as in i8_dot.s; all factors shift right. The instruction multiplies eight elements of two rows
// with those of two channels: v0-v7 hold rows 0 and 1 of two channels each, v8-v15 rows 2 and 3. Weights lie as the dot
// product takes them, four elements of a channel side by side, so that two groups are brought together first.

.arch_extension i8mm

// Eight elements: four registers of weights and the four after them, and the elements of rows 0 and 1, 2 and 3.
.macro pm_two w, x, a, b, c, d, low, high
    zip1 v30.4s, \w\().4s, \x\().4s
    zip2 v31.4s, \w\().4s, \x\().4s
    smmla \a\().4s, \low\().16b, v30.16b
    smmla \c\().4s, \high\().16b, v30.16b
    smmla \b\().4s, \low\().16b, v31.16b
    smmla \d\().4s, \high\().16b, v31.16b
.endm

.macro pm_eight low, high
    ld1 {v22.16b, v23.16b, v24.16b, v25.16b}, [x11], #64
    ld1 {v26.16b, v27.16b, v28.16b, v29.16b}, [x11], #64
    pm_two v22, v26, v0, v1, v8, v9, \low, \high
    pm_two v23, v27, v2, v3, v10, v11, \low, \high
    pm_two v24, v28, v4, v5, v12, v13, \low, \high
    pm_two v25, v29, v6, v7, v14, v15, \low, \high
.endm

// Sixteen elements.
.macro pm_sixteen
    ldr q16, [x12], #16
    ldr q17, [x13], #16
    ldr q18, [x14], #16
    ldr q19, [x15], #16
    zip1 v20.2d, v16.2d, v17.2d
    zip1 v21.2d, v18.2d, v19.2d
    zip2 v16.2d, v16.2d, v17.2d
    zip2 v18.2d, v18.2d, v19.2d
    pm_eight v20, v21
    pm_eight v16, v18
.endm

// A row to 16 bits: the factors are in v0, v1, v4, v5, the shifts in v2, v3, v6, v7, the zero point in v8.
.macro pm_row scale, a, b, c, d
    \scale \a, \b, v0, v1, v2, v3
    \scale \c, \d, v4, v5, v6, v7
    sqxtn \a\().4h, \a\().4s
    sqxtn \c\().4h, \c\().4s
    sqxtn2 \a\().8h, \b\().4s
    sqxtn2 \c\().8h, \d\().4s
    sqadd \a\().8h, \a\().8h, v8.8h
    sqadd \c\().8h, \c\().8h, v8.8h
    sqxtn \a\().8b, \a\().8h
    sqxtn2 \a\().16b, \c\().8h
.endm

.text
pn_function paring_neon_i8_mmla_4x16
    pi_enter
1:
    mov x11, x5
    ld4r {v0.2d, v1.2d, v2.2d, v3.2d}, [x11], #32
    ld4r {v4.2d, v5.2d, v6.2d, v7.2d}, [x11]
    mov x11, x5
    ld4r {v8.2d, v9.2d, v10.2d, v11.2d}, [x11], #32
    ld4r {v12.2d, v13.2d, v14.2d, v15.2d}, [x11]
    mov x11, x10
    mov x16, x6
2:
    pf_pieces4 0
    subs x17, x7, #16
    b.lo 4f
3:
    pm_sixteen
    subs x17, x17, #16
    b.hs 3b
4:
    tbz x17, #3, 5f
    ldr d20, [x12], #8
    ldr d21, [x14], #8
    ld1 {v20.d}[1], [x13], #8
    ld1 {v21.d}[1], [x15], #8
    pm_eight v20, v21
5:
    tbz x17, #2, 6f
    // Four elements and zeros beside them.
    ldr s20, [x12], #4
    ldr s21, [x14], #4
    ldr s16, [x13], #4
    ldr s17, [x15], #4
    mov v20.d[1], v16.d[0]
    mov v21.d[1], v17.d[0]
    ld1 {v22.16b, v23.16b, v24.16b, v25.16b}, [x11], #64
    movi v26.4s, #0
    pm_two v22, v26, v0, v1, v8, v9, v20, v21
    pm_two v23, v26, v2, v3, v10, v11, v20, v21
    pm_two v24, v26, v4, v5, v12, v13, v20, v21
    pm_two v25, v26, v6, v7, v14, v15, v20, v21
6:
    subs x16, x16, #1
    b.ne 2b
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    zip1 v16.2d, v0.2d, v1.2d
    zip2 v20.2d, v0.2d, v1.2d
    zip1 v17.2d, v2.2d, v3.2d
    zip2 v21.2d, v2.2d, v3.2d
    zip1 v18.2d, v4.2d, v5.2d
    zip2 v22.2d, v4.2d, v5.2d
    zip1 v19.2d, v6.2d, v7.2d
    zip2 v23.2d, v6.2d, v7.2d
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x12], #64
    ld1 {v4.4s, v5.4s, v6.4s, v7.4s}, [x12]
    zip1 v24.2d, v8.2d, v9.2d
    zip2 v28.2d, v8.2d, v9.2d
    zip1 v25.2d, v10.2d, v11.2d
    zip2 v29.2d, v10.2d, v11.2d
    zip1 v26.2d, v12.2d, v13.2d
    zip2 v30.2d, v12.2d, v13.2d
    zip1 v27.2d, v14.2d, v15.2d
    zip2 v31.2d, v14.2d, v15.2d
    ld1 {v8.4s, v9.4s, v10.4s}, [x13]
    tbnz w16, #4, 8f
    pm_row pi_scale2, v16, v17, v18, v19
    pm_row pi_scale2, v20, v21, v22, v23
    pm_row pi_scale2, v24, v25, v26, v27
    pm_row pi_scale2, v28, v29, v30, v31
6:
    tbz w16, #2, 7f
    smax v16.16b, v16.16b, v9.16b
    smax v20.16b, v20.16b, v9.16b
    smax v24.16b, v24.16b, v9.16b
    smax v28.16b, v28.16b, v9.16b
    smin v16.16b, v16.16b, v10.16b
    smin v20.16b, v20.16b, v10.16b
    smin v24.16b, v24.16b, v10.16b
    smin v28.16b, v28.16b, v10.16b
7:
    st1 {v16.16b}, [x4], x9
    st1 {v20.16b}, [x4], x9
    st1 {v24.16b}, [x4], x9
    st1 {v28.16b}, [x4], x9
    subs x8, x8, #1
    b.ne 1b
    pf_leave
8:
    pm_row pi_relu2, v16, v17, v18, v19
    pm_row pi_relu2, v20, v21, v22, v23
    pm_row pi_relu2, v24, v25, v26, v27
    pm_row pi_relu2, v28, v29, v30, v31
    b 6b
pn_end paring_neon_i8_mmla_4x16

.arch_extension noi8mm
