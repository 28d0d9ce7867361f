// Products of i8 with the dot product instruction: four rows or one row times 16 or 8 channels.
//
// Arguments and registers as in i8_mlal.s, but x5 points to the sums that channels begin with.

.arch_extension dotprod

.macro pd_k16 w0, w1, w2, w3, a0, a1, a2, a3, l
    sdot v0.4s, \w0\().16b, \a0\().4b[\l]
    sdot v1.4s, \w1\().16b, \a0\().4b[\l]
    sdot v2.4s, \w2\().16b, \a0\().4b[\l]
    sdot v3.4s, \w3\().16b, \a0\().4b[\l]
    sdot v4.4s, \w0\().16b, \a1\().4b[\l]
    sdot v5.4s, \w1\().16b, \a1\().4b[\l]
    sdot v6.4s, \w2\().16b, \a1\().4b[\l]
    sdot v7.4s, \w3\().16b, \a1\().4b[\l]
    sdot v8.4s, \w0\().16b, \a2\().4b[\l]
    sdot v9.4s, \w1\().16b, \a2\().4b[\l]
    sdot v10.4s, \w2\().16b, \a2\().4b[\l]
    sdot v11.4s, \w3\().16b, \a2\().4b[\l]
    sdot v12.4s, \w0\().16b, \a3\().4b[\l]
    sdot v13.4s, \w1\().16b, \a3\().4b[\l]
    sdot v14.4s, \w2\().16b, \a3\().4b[\l]
    sdot v15.4s, \w3\().16b, \a3\().4b[\l]
.endm

.macro pd_k8 w0, w1, a0, a1, a2, a3, l
    sdot v0.4s, \w0\().16b, \a0\().4b[\l]
    sdot v1.4s, \w1\().16b, \a0\().4b[\l]
    sdot v2.4s, \w0\().16b, \a1\().4b[\l]
    sdot v3.4s, \w1\().16b, \a1\().4b[\l]
    sdot v4.4s, \w0\().16b, \a2\().4b[\l]
    sdot v5.4s, \w1\().16b, \a2\().4b[\l]
    sdot v6.4s, \w0\().16b, \a3\().4b[\l]
    sdot v7.4s, \w1\().16b, \a3\().4b[\l]
.endm

.macro pd_one16 w0, w1, w2, w3, a, l
    sdot v0.4s, \w0\().16b, \a\().4b[\l]
    sdot v1.4s, \w1\().16b, \a\().4b[\l]
    sdot v2.4s, \w2\().16b, \a\().4b[\l]
    sdot v3.4s, \w3\().16b, \a\().4b[\l]
.endm

.macro pd_one8 w0, w1, a, l
    sdot v0.4s, \w0\().16b, \a\().4b[\l]
    sdot v1.4s, \w1\().16b, \a\().4b[\l]
.endm

.macro pd_wide a0, a1, a2, a3
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [x11], #64
    pd_k16 v24, v25, v26, v27, \a0, \a1, \a2, \a3, 0
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    pd_k16 v28, v29, v30, v31, \a0, \a1, \a2, \a3, 1
    ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [x11], #64
    pd_k16 v24, v25, v26, v27, \a0, \a1, \a2, \a3, 2
    pd_k16 v28, v29, v30, v31, \a0, \a1, \a2, \a3, 3
.endm

.macro pd_narrow a0, a1, a2, a3
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [x11], #64
    pd_k8 v24, v25, \a0, \a1, \a2, \a3, 0
    pd_k8 v26, v27, \a0, \a1, \a2, \a3, 1
    pd_k8 v28, v29, \a0, \a1, \a2, \a3, 2
    pd_k8 v30, v31, \a0, \a1, \a2, \a3, 3
.endm

// Four elements of every row.
.macro pd_last16
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    pd_k16 v24, v25, v26, v27, v16, v18, v20, v22, 0
.endm

.macro pd_last8
    ld1 {v24.16b, v25.16b}, [x11], #32
    pd_k8 v24, v25, v16, v18, v20, v22, 0
.endm

// Sixteen elements of one row in v16, and four.
.macro pd_ones16
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [x11], #64
    pd_one16 v24, v25, v26, v27, v16, 0
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    pd_one16 v28, v29, v30, v31, v16, 1
    ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [x11], #64
    pd_one16 v24, v25, v26, v27, v16, 2
    pd_one16 v28, v29, v30, v31, v16, 3
.endm

.macro pd_end16
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    pd_one16 v24, v25, v26, v27, v16, 0
.endm

.macro pd_ones8
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    ld1 {v28.16b, v29.16b, v30.16b, v31.16b}, [x11], #64
    pd_one8 v24, v25, v16, 0
    pd_one8 v26, v27, v16, 1
    pd_one8 v28, v29, v16, 2
    pd_one8 v30, v31, v16, 3
.endm

.macro pd_end8
    ld1 {v24.16b, v25.16b}, [x11], #32
    pd_one8 v24, v25, v16, 0
.endm

// The sums of one row of 16 channels in v0-v3 to bytes, as pi_finish1x8.
.macro pd_finish1x16 leave
    ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x12], #64
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x12]
    ld1 {v20.4s, v21.4s, v22.4s}, [x13]
    tbnz w16, #0, 3f
    pi_scale2 v0, v1, v16, v17, v18, v19
    pi_scale2 v2, v3, v24, v25, v26, v27
4:
    sqxtn v0.4h, v0.4s
    sqxtn v2.4h, v2.4s
    sqxtn2 v0.8h, v1.4s
    sqxtn2 v2.8h, v3.4s
    sqadd v0.8h, v0.8h, v20.8h
    sqadd v2.8h, v2.8h, v20.8h
    sqxtn v0.8b, v0.8h
    sqxtn2 v0.16b, v2.8h
    smax v0.16b, v0.16b, v21.16b
    smin v0.16b, v0.16b, v22.16b
    str q0, [x4]
    \leave
3:
    movi v30.4s, #0
    smax v28.4s, v18.4s, v30.4s
    smax v29.4s, v19.4s, v30.4s
    smin v18.4s, v18.4s, v30.4s
    smin v19.4s, v19.4s, v30.4s
    pi_scale_any v0, v16, v28, v18
    pi_scale_any v1, v17, v29, v19
    smax v28.4s, v26.4s, v30.4s
    smax v29.4s, v27.4s, v30.4s
    smin v26.4s, v26.4s, v30.4s
    smin v27.4s, v27.4s, v30.4s
    pi_scale_any v2, v24, v28, v26
    pi_scale_any v3, v25, v29, v27
    b 4b
.endm

.text
pn_function paring_neon_i8_dot_4x16
    pi_enter
1:
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5]
    ld1 {v4.4s, v5.4s, v6.4s, v7.4s}, [x5]
    ld1 {v8.4s, v9.4s, v10.4s, v11.4s}, [x5]
    ld1 {v12.4s, v13.4s, v14.4s, v15.4s}, [x5]
    mov x11, x10
    mov x16, x6
    pf_taps4 0, 16, 4, 12, 4, pd_wide, pd_last16
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    ld1 {v16.4s, v17.4s, v18.4s, v19.4s}, [x12], #64
    ld1 {v24.4s, v25.4s, v26.4s, v27.4s}, [x12]
    ld1 {v20.4s, v21.4s, v22.4s}, [x13]
    tbnz w16, #0, 3f
    tbnz w16, #4, 93f
    pi_scale2 v0, v1, v16, v17, v18, v19
    pi_scale2 v2, v3, v24, v25, v26, v27
    pi_scale2 v4, v5, v16, v17, v18, v19
    pi_scale2 v6, v7, v24, v25, v26, v27
    pi_scale2 v8, v9, v16, v17, v18, v19
    pi_scale2 v10, v11, v24, v25, v26, v27
    pi_scale2 v12, v13, v16, v17, v18, v19
    pi_scale2 v14, v15, v24, v25, v26, v27
4:
    sqxtn v0.4h, v0.4s
    sqxtn v2.4h, v2.4s
    sqxtn v4.4h, v4.4s
    sqxtn v6.4h, v6.4s
    sqxtn v8.4h, v8.4s
    sqxtn v10.4h, v10.4s
    sqxtn v12.4h, v12.4s
    sqxtn v14.4h, v14.4s
    sqxtn2 v0.8h, v1.4s
    sqxtn2 v2.8h, v3.4s
    sqxtn2 v4.8h, v5.4s
    sqxtn2 v6.8h, v7.4s
    sqxtn2 v8.8h, v9.4s
    sqxtn2 v10.8h, v11.4s
    sqxtn2 v12.8h, v13.4s
    sqxtn2 v14.8h, v15.4s
    sqadd v0.8h, v0.8h, v20.8h
    sqadd v2.8h, v2.8h, v20.8h
    sqadd v4.8h, v4.8h, v20.8h
    sqadd v6.8h, v6.8h, v20.8h
    sqadd v8.8h, v8.8h, v20.8h
    sqadd v10.8h, v10.8h, v20.8h
    sqadd v12.8h, v12.8h, v20.8h
    sqadd v14.8h, v14.8h, v20.8h
    sqxtn v0.8b, v0.8h
    sqxtn v4.8b, v4.8h
    sqxtn v8.8b, v8.8h
    sqxtn v12.8b, v12.8h
    sqxtn2 v0.16b, v2.8h
    sqxtn2 v4.16b, v6.8h
    sqxtn2 v8.16b, v10.8h
    sqxtn2 v12.16b, v14.8h
    tbz w16, #2, 5f
    smax v0.16b, v0.16b, v21.16b
    smax v4.16b, v4.16b, v21.16b
    smax v8.16b, v8.16b, v21.16b
    smax v12.16b, v12.16b, v21.16b
    smin v0.16b, v0.16b, v22.16b
    smin v4.16b, v4.16b, v22.16b
    smin v8.16b, v8.16b, v22.16b
    smin v12.16b, v12.16b, v22.16b
5:
    st1 {v0.16b}, [x4], x9
    st1 {v4.16b}, [x4], x9
    st1 {v8.16b}, [x4], x9
    st1 {v12.16b}, [x4], x9
    subs x8, x8, #1
    b.ne 1b
    pf_leave
3:
    movi v30.4s, #0
    smax v28.4s, v18.4s, v30.4s
    smax v29.4s, v19.4s, v30.4s
    smin v18.4s, v18.4s, v30.4s
    smin v19.4s, v19.4s, v30.4s
    pi_scale_any v0, v16, v28, v18
    pi_scale_any v1, v17, v29, v19
    pi_scale_any v4, v16, v28, v18
    pi_scale_any v5, v17, v29, v19
    pi_scale_any v8, v16, v28, v18
    pi_scale_any v9, v17, v29, v19
    pi_scale_any v12, v16, v28, v18
    pi_scale_any v13, v17, v29, v19
    smax v28.4s, v26.4s, v30.4s
    smax v29.4s, v27.4s, v30.4s
    smin v26.4s, v26.4s, v30.4s
    smin v27.4s, v27.4s, v30.4s
    pi_scale_any v2, v24, v28, v26
    pi_scale_any v3, v25, v29, v27
    pi_scale_any v6, v24, v28, v26
    pi_scale_any v7, v25, v29, v27
    pi_scale_any v10, v24, v28, v26
    pi_scale_any v11, v25, v29, v27
    pi_scale_any v14, v24, v28, v26
    pi_scale_any v15, v25, v29, v27
    b 4b
93:
    pi_relu2 v0, v1, v16, v17, v18, v19
    pi_relu2 v2, v3, v24, v25, v26, v27
    pi_relu2 v4, v5, v16, v17, v18, v19
    pi_relu2 v6, v7, v24, v25, v26, v27
    pi_relu2 v8, v9, v16, v17, v18, v19
    pi_relu2 v10, v11, v24, v25, v26, v27
    pi_relu2 v12, v13, v16, v17, v18, v19
    pi_relu2 v14, v15, v24, v25, v26, v27
    b 4b
pn_end paring_neon_i8_dot_4x16

pn_function paring_neon_i8_dot_4x8
    pi_enter
1:
    ld1 {v0.4s, v1.4s}, [x5]
    ld1 {v2.4s, v3.4s}, [x5]
    ld1 {v4.4s, v5.4s}, [x5]
    ld1 {v6.4s, v7.4s}, [x5]
    mov x11, x10
    mov x16, x6
    pf_taps4 0, 16, 4, 12, 4, pd_narrow, pd_last8
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    pi_finish4x8 pf_leave
pn_end paring_neon_i8_dot_4x8

pn_function paring_neon_i8_dot_1x16
    pi_enter
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5]
    mov x11, x10
    mov x16, x6
    pf_taps1 0, 16, 12, 4, pd_ones16, pd_end16
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    pd_finish1x16 pf_leave
pn_end paring_neon_i8_dot_1x16

pn_function paring_neon_i8_dot_1x8
    pi_enter
    ld1 {v0.4s, v1.4s}, [x5]
    mov x11, x10
    mov x16, x6
    pf_taps1 0, 16, 12, 4, pd_ones8, pd_end8
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    pi_finish1x8 pf_leave
pn_end paring_neon_i8_dot_1x8

.arch_extension nodotprod
