// Products of half precision: tiles of eight rows or one row times panels of 16 or 8 channels.
//
// Sums are kept in half precision for 64 products each. What a stretch of that many gives is added to totals, of half
// precision too, so that the error grows with the length of a stretch and the number of stretches, not with their
// product.
//
// x0 points to the arguments (struct Call of assembly.rs). Registers of a function: x1-x17 as in f32_gemm.s, x19-x22
// four more pieces, x23 products left of a stretch, x24 whether there are totals, on the stack. v0-v7 left side, v8-v15
// weights, v16-v31 sums.

.arch_extension fp16

.macro ph_enter
    stp d8, d9, [sp, #-112]!
    stp d10, d11, [sp, #16]
    stp d12, d13, [sp, #32]
    stp d14, d15, [sp, #48]
    stp x19, x20, [sp, #64]
    stp x21, x22, [sp, #80]
    stp x23, x24, [sp, #96]
    sub sp, sp, #256
    ldp x2, x1, [x0]
    ldp x3, x4, [x0, #16]
    ldp x10, x5, [x0, #32]
    ldp x9, x6, [x0, #48]
    ldp x7, x8, [x0, #64]
.endm

.macro ph_leave
    add sp, sp, #256
    ldp x23, x24, [sp, #96]
    ldp x21, x22, [sp, #80]
    ldp x19, x20, [sp, #64]
    ldp d14, d15, [sp, #48]
    ldp d12, d13, [sp, #32]
    ldp d10, d11, [sp, #16]
    ldp d8, d9, [sp], #112
    ret
.endm

// The places of eight pieces.
.macro ph_pieces8
    ldp w12, w13, [x1], #8
    ldp w14, w15, [x1], #8
    ldp w19, w20, [x1], #8
    ldp w21, w22, [x1], #8
    cbnz x3, 91f
    add x12, x2, w12, uxtw #1
    add x13, x2, w13, uxtw #1
    add x14, x2, w14, uxtw #1
    add x15, x2, w15, uxtw #1
    add x19, x2, w19, uxtw #1
    add x20, x2, w20, uxtw #1
    add x21, x2, w21, uxtw #1
    add x22, x2, w22, uxtw #1
    b 92f
91:
    ph_piece x12, w12
    ph_piece x13, w13
    ph_piece x14, w14
    ph_piece x15, w15
    ph_piece x19, w19
    ph_piece x20, w20
    ph_piece x21, w21
    ph_piece x22, w22
92:
.endm

.macro ph_piece x, w
    cmn \w, #1
    add \x, x2, \w, uxtw #1
    csel \x, x3, \x, eq
.endm

// The place of the first piece of a tile.
.macro ph_pieces1
    ldr w12, [x1], #32
    ph_piece x12, w12
.endm

.macro ph_load kind, step
    ldr \kind\()0, [x12], #\step
    ldr \kind\()1, [x13], #\step
    ldr \kind\()2, [x14], #\step
    ldr \kind\()3, [x15], #\step
    ldr \kind\()4, [x19], #\step
    ldr \kind\()5, [x20], #\step
    ldr \kind\()6, [x21], #\step
    ldr \kind\()7, [x22], #\step
.endm

.macro ph_k16 u, v, l
    fmla v16.8h, \u\().8h, v0.h[\l]
    fmla v17.8h, \v\().8h, v0.h[\l]
    fmla v18.8h, \u\().8h, v1.h[\l]
    fmla v19.8h, \v\().8h, v1.h[\l]
    fmla v20.8h, \u\().8h, v2.h[\l]
    fmla v21.8h, \v\().8h, v2.h[\l]
    fmla v22.8h, \u\().8h, v3.h[\l]
    fmla v23.8h, \v\().8h, v3.h[\l]
    fmla v24.8h, \u\().8h, v4.h[\l]
    fmla v25.8h, \v\().8h, v4.h[\l]
    fmla v26.8h, \u\().8h, v5.h[\l]
    fmla v27.8h, \v\().8h, v5.h[\l]
    fmla v28.8h, \u\().8h, v6.h[\l]
    fmla v29.8h, \v\().8h, v6.h[\l]
    fmla v30.8h, \u\().8h, v7.h[\l]
    fmla v31.8h, \v\().8h, v7.h[\l]
.endm

.macro ph_k8 w, l
    fmla v16.8h, \w\().8h, v0.h[\l]
    fmla v17.8h, \w\().8h, v1.h[\l]
    fmla v18.8h, \w\().8h, v2.h[\l]
    fmla v19.8h, \w\().8h, v3.h[\l]
    fmla v20.8h, \w\().8h, v4.h[\l]
    fmla v21.8h, \w\().8h, v5.h[\l]
    fmla v22.8h, \w\().8h, v6.h[\l]
    fmla v23.8h, \w\().8h, v7.h[\l]
.endm

// Even elements of one row go to other sums than odd ones.
.macro ph_one16 u, v, l, a, b
    fmla \a\().8h, \u\().8h, v0.h[\l]
    fmla \b\().8h, \v\().8h, v0.h[\l]
.endm

// The totals of two sums, and zeros in their place.
.macro ph_first a, b, at
    stp q\a, q\b, [sp, #\at]
    movi v\a\().2d, #0
    movi v\b\().2d, #0
.endm

.macro ph_more a, b, at
    ldp q8, q9, [sp, #\at]
    fadd v8.8h, v8.8h, v\a\().8h
    fadd v9.8h, v9.8h, v\b\().8h
    movi v\a\().2d, #0
    movi v\b\().2d, #0
    stp q8, q9, [sp, #\at]
.endm

.macro ph_join a, b, at
    ldp q8, q9, [sp, #\at]
    fadd v\a\().8h, v\a\().8h, v8.8h
    fadd v\b\().8h, v\b\().8h, v9.8h
.endm

.macro ph_each8 do
    \do 16, 17, 0
    \do 18, 19, 32
    \do 20, 21, 64
    \do 22, 23, 96
.endm

.macro ph_each16 do
    ph_each8 \do
    \do 24, 25, 128
    \do 26, 27, 160
    \do 28, 29, 192
    \do 30, 31, 224
.endm

.macro ph_rest16 a, b
    ld1 {v8.8h, v9.8h}, [x10], x9
    fadd v\a\().8h, v\a\().8h, v8.8h
    fadd v\b\().8h, v\b\().8h, v9.8h
.endm

.macro ph_rest8 a
    ld1 {v8.8h}, [x10], x9
    fadd v\a\().8h, v\a\().8h, v8.8h
.endm

// The bounds in v8 and v9.
.macro ph_bounds
    ldr d9, [x0, #80]
    fcvtn v9.4h, v9.4s
    dup v8.8h, v9.h[0]
    dup v9.8h, v9.h[1]
.endm

.macro ph_clamp a, b
    fmax v\a\().8h, v\a\().8h, v8.8h
    fmax v\b\().8h, v\b\().8h, v8.8h
    fmin v\a\().8h, v\a\().8h, v9.8h
    fmin v\b\().8h, v\b\().8h, v9.8h
.endm

.text
pn_function paring_neon_f16_8x16
    ph_enter
1:
    ldp q16, q17, [x5]
    ldp q18, q19, [x5]
    ldp q20, q21, [x5]
    ldp q22, q23, [x5]
    ldp q24, q25, [x5]
    ldp q26, q27, [x5]
    ldp q28, q29, [x5]
    ldp q30, q31, [x5]
    add x11, x5, #32
    mov x16, x6
    mov x23, #64
    mov x24, #0
2:
    ph_pieces8
    subs x17, x7, #8
    b.lo 4f
3:
    ph_load q, 16
    ld1 {v8.8h, v9.8h, v10.8h, v11.8h}, [x11], #64
    ld1 {v12.8h, v13.8h, v14.8h, v15.8h}, [x11], #64
    ph_k16 v8, v9, 0
    ph_k16 v10, v11, 1
    ld1 {v8.8h, v9.8h, v10.8h, v11.8h}, [x11], #64
    ph_k16 v12, v13, 2
    ph_k16 v14, v15, 3
    ld1 {v12.8h, v13.8h, v14.8h, v15.8h}, [x11], #64
    ph_k16 v8, v9, 4
    ph_k16 v10, v11, 5
    ph_k16 v12, v13, 6
    ph_k16 v14, v15, 7
    subs x23, x23, #8
    b.le 50f
40:
    subs x17, x17, #8
    b.hs 3b
4:
    tbz x17, #2, 5f
    ph_load d, 8
    ld1 {v8.8h, v9.8h, v10.8h, v11.8h}, [x11], #64
    ld1 {v12.8h, v13.8h, v14.8h, v15.8h}, [x11], #64
    ph_k16 v8, v9, 0
    ph_k16 v10, v11, 1
    ph_k16 v12, v13, 2
    ph_k16 v14, v15, 3
    sub x23, x23, #4
5:
    ands x17, x17, #3
    b.eq 7f
    sub x23, x23, x17
6:
    ph_load h, 2
    ldp q8, q9, [x11], #32
    ph_k16 v8, v9, 0
    subs x17, x17, #1
    b.ne 6b
7:
    subs x16, x16, #1
    b.ne 2b
    cbz x24, 8f
    ph_each16 ph_join
8:
    cbz x10, 8f
    ph_rest16 16, 17
    ph_rest16 18, 19
    ph_rest16 20, 21
    ph_rest16 22, 23
    ph_rest16 24, 25
    ph_rest16 26, 27
    ph_rest16 28, 29
    ph_rest16 30, 31
8:
    ldr w16, [x0, #88]
    cbz w16, 9f
    ph_bounds
    ph_clamp 16, 17
    ph_clamp 18, 19
    ph_clamp 20, 21
    ph_clamp 22, 23
    ph_clamp 24, 25
    ph_clamp 26, 27
    ph_clamp 28, 29
    ph_clamp 30, 31
9:
    st1 {v16.8h, v17.8h}, [x4], x9
    st1 {v18.8h, v19.8h}, [x4], x9
    st1 {v20.8h, v21.8h}, [x4], x9
    st1 {v22.8h, v23.8h}, [x4], x9
    st1 {v24.8h, v25.8h}, [x4], x9
    st1 {v26.8h, v27.8h}, [x4], x9
    st1 {v28.8h, v29.8h}, [x4], x9
    st1 {v30.8h, v31.8h}, [x4], x9
    subs x8, x8, #1
    b.ne 1b
    ph_leave
50:
    mov x23, #64
    cbnz x24, 51f
    mov x24, #1
    ph_each16 ph_first
    b 40b
51:
    ph_each16 ph_more
    b 40b
pn_end paring_neon_f16_8x16

pn_function paring_neon_f16_8x8
    ph_enter
1:
    ldr q16, [x5]
    mov v17.16b, v16.16b
    mov v18.16b, v16.16b
    mov v19.16b, v16.16b
    mov v20.16b, v16.16b
    mov v21.16b, v16.16b
    mov v22.16b, v16.16b
    mov v23.16b, v16.16b
    add x11, x5, #16
    mov x16, x6
    mov x23, #64
    mov x24, #0
2:
    ph_pieces8
    subs x17, x7, #8
    b.lo 4f
3:
    ph_load q, 16
    ld1 {v8.8h, v9.8h, v10.8h, v11.8h}, [x11], #64
    ld1 {v12.8h, v13.8h, v14.8h, v15.8h}, [x11], #64
    ph_k8 v8, 0
    ph_k8 v9, 1
    ph_k8 v10, 2
    ph_k8 v11, 3
    ph_k8 v12, 4
    ph_k8 v13, 5
    ph_k8 v14, 6
    ph_k8 v15, 7
    subs x23, x23, #8
    b.le 50f
40:
    subs x17, x17, #8
    b.hs 3b
4:
    tbz x17, #2, 5f
    ph_load d, 8
    ld1 {v8.8h, v9.8h, v10.8h, v11.8h}, [x11], #64
    ph_k8 v8, 0
    ph_k8 v9, 1
    ph_k8 v10, 2
    ph_k8 v11, 3
    sub x23, x23, #4
5:
    ands x17, x17, #3
    b.eq 7f
    sub x23, x23, x17
6:
    ph_load h, 2
    ldr q8, [x11], #16
    ph_k8 v8, 0
    subs x17, x17, #1
    b.ne 6b
7:
    subs x16, x16, #1
    b.ne 2b
    cbz x24, 8f
    ph_each8 ph_join
8:
    cbz x10, 8f
    ph_rest8 16
    ph_rest8 17
    ph_rest8 18
    ph_rest8 19
    ph_rest8 20
    ph_rest8 21
    ph_rest8 22
    ph_rest8 23
8:
    ldr w16, [x0, #88]
    cbz w16, 9f
    ph_bounds
    ph_clamp 16, 17
    ph_clamp 18, 19
    ph_clamp 20, 21
    ph_clamp 22, 23
9:
    st1 {v16.8h}, [x4], x9
    st1 {v17.8h}, [x4], x9
    st1 {v18.8h}, [x4], x9
    st1 {v19.8h}, [x4], x9
    st1 {v20.8h}, [x4], x9
    st1 {v21.8h}, [x4], x9
    st1 {v22.8h}, [x4], x9
    st1 {v23.8h}, [x4], x9
    subs x8, x8, #1
    b.ne 1b
    ph_leave
50:
    mov x23, #64
    cbnz x24, 51f
    mov x24, #1
    ph_each8 ph_first
    b 40b
51:
    ph_each8 ph_more
    b 40b
pn_end paring_neon_f16_8x8

// One row: sums of even elements in v16 and v17, of odd ones in v18 and v19, totals in v20 and v21.
pn_function paring_neon_f16_1x16
    ph_enter
    ldp q20, q21, [x5]
    movi v16.2d, #0
    movi v17.2d, #0
    movi v18.2d, #0
    movi v19.2d, #0
    add x11, x5, #32
    mov x16, x6
    mov x23, #64
2:
    ph_pieces1
    subs x17, x7, #8
    b.lo 4f
3:
    ldr q0, [x12], #16
    ld1 {v8.8h, v9.8h, v10.8h, v11.8h}, [x11], #64
    ld1 {v12.8h, v13.8h, v14.8h, v15.8h}, [x11], #64
    ph_one16 v8, v9, 0, v16, v17
    ph_one16 v10, v11, 1, v18, v19
    ld1 {v8.8h, v9.8h, v10.8h, v11.8h}, [x11], #64
    ph_one16 v12, v13, 2, v16, v17
    ph_one16 v14, v15, 3, v18, v19
    ld1 {v12.8h, v13.8h, v14.8h, v15.8h}, [x11], #64
    ph_one16 v8, v9, 4, v16, v17
    ph_one16 v10, v11, 5, v18, v19
    ph_one16 v12, v13, 6, v16, v17
    ph_one16 v14, v15, 7, v18, v19
    subs x23, x23, #8
    b.le 50f
40:
    subs x17, x17, #8
    b.hs 3b
4:
    ands x17, x17, #7
    b.eq 7f
    sub x23, x23, x17
6:
    ldr h0, [x12], #2
    ldp q8, q9, [x11], #32
    ph_one16 v8, v9, 0, v16, v17
    subs x17, x17, #1
    b.ne 6b
7:
    subs x16, x16, #1
    b.ne 2b
    fadd v16.8h, v16.8h, v18.8h
    fadd v17.8h, v17.8h, v19.8h
    fadd v16.8h, v16.8h, v20.8h
    fadd v17.8h, v17.8h, v21.8h
    cbz x10, 8f
    ph_rest16 16, 17
8:
    ldr w16, [x0, #88]
    cbz w16, 9f
    ph_bounds
    ph_clamp 16, 17
9:
    st1 {v16.8h, v17.8h}, [x4]
    ph_leave
50:
    mov x23, #64
    fadd v16.8h, v16.8h, v18.8h
    fadd v17.8h, v17.8h, v19.8h
    fadd v20.8h, v20.8h, v16.8h
    fadd v21.8h, v21.8h, v17.8h
    movi v16.2d, #0
    movi v17.2d, #0
    movi v18.2d, #0
    movi v19.2d, #0
    b 40b
pn_end paring_neon_f16_1x16

// One row: sums in v16-v19, those of every fourth element in the same one, totals in v20.
pn_function paring_neon_f16_1x8
    ph_enter
    ldr q20, [x5]
    movi v16.2d, #0
    movi v17.2d, #0
    movi v18.2d, #0
    movi v19.2d, #0
    add x11, x5, #16
    mov x16, x6
    mov x23, #64
2:
    ph_pieces1
    subs x17, x7, #8
    b.lo 4f
3:
    ldr q0, [x12], #16
    ld1 {v8.8h, v9.8h, v10.8h, v11.8h}, [x11], #64
    ld1 {v12.8h, v13.8h, v14.8h, v15.8h}, [x11], #64
    fmla v16.8h, v8.8h, v0.h[0]
    fmla v17.8h, v9.8h, v0.h[1]
    fmla v18.8h, v10.8h, v0.h[2]
    fmla v19.8h, v11.8h, v0.h[3]
    fmla v16.8h, v12.8h, v0.h[4]
    fmla v17.8h, v13.8h, v0.h[5]
    fmla v18.8h, v14.8h, v0.h[6]
    fmla v19.8h, v15.8h, v0.h[7]
    subs x23, x23, #8
    b.le 50f
40:
    subs x17, x17, #8
    b.hs 3b
4:
    ands x17, x17, #7
    b.eq 7f
    sub x23, x23, x17
6:
    ldr h0, [x12], #2
    ldr q8, [x11], #16
    fmla v16.8h, v8.8h, v0.h[0]
    subs x17, x17, #1
    b.ne 6b
7:
    subs x16, x16, #1
    b.ne 2b
    fadd v16.8h, v16.8h, v17.8h
    fadd v18.8h, v18.8h, v19.8h
    fadd v16.8h, v16.8h, v18.8h
    fadd v16.8h, v16.8h, v20.8h
    cbz x10, 8f
    ph_rest8 16
8:
    ldr w16, [x0, #88]
    cbz w16, 9f
    ph_bounds
    ph_clamp 16, 16
9:
    st1 {v16.8h}, [x4]
    ph_leave
50:
    mov x23, #64
    fadd v16.8h, v16.8h, v17.8h
    fadd v18.8h, v18.8h, v19.8h
    fadd v16.8h, v16.8h, v18.8h
    fadd v20.8h, v20.8h, v16.8h
    movi v16.2d, #0
    movi v17.2d, #0
    movi v18.2d, #0
    movi v19.2d, #0
    b 40b
pn_end paring_neon_f16_1x8

.arch_extension nofp16
