// A row of a depthwise convolution with a window of 3x3: sixteen channels of i8, four of f32 or eight of half
// precision, column by column with the columns before in registers.
//
// x0 points to the arguments (struct Row of depthwise3.rs). Registers: x1-x3 the three rows of the input, x4-x6
// bytes between their columns (0 for a row of padding), x7 output, x9 bytes between its columns, x10 windows that
// are inside, x11 whether one follows whose last column is padding, x12 whether the first column is padding,
// x13 factors, x14 constants of all channels, x15 a column of padding. v0-v8 three columns, v16-v24 weights.

.macro pw_enter
    stp d8, d9, [sp, #-64]!
    stp d10, d11, [sp, #16]
    stp d12, d13, [sp, #32]
    stp d14, d15, [sp, #48]
    ldp x1, x2, [x0]
    ldp x3, x4, [x0, #16]
    ldp x5, x6, [x0, #32]
    ldp x7, x9, [x0, #48]
    ldp x10, x11, [x0, #64]
    ldp x12, x13, [x0, #80]
    ldp x14, x15, [x0, #96]
.endm

.macro pw_column a, b, c
    ld1 {\a\().16b}, [x1], x4
    ld1 {\b\().16b}, [x2], x5
    ld1 {\c\().16b}, [x3], x6
.endm

// Of eight channels.
.macro pw_column8 a, b, c
    ld1 {\a\().8b}, [x1], x4
    ld1 {\b\().8b}, [x2], x5
    ld1 {\c\().8b}, [x3], x6
.endm

.macro pw_padding a, b, c
    ldr q31, [x15]
    mov \a\().16b, v31.16b
    mov \b\().16b, v31.16b
    mov \c\().16b, v31.16b
.endm

.macro pw_move a, b, c, d, e, f
    mov \a\().16b, \d\().16b
    mov \b\().16b, \e\().16b
    mov \c\().16b, \f\().16b
.endm

// All windows of a row one column apart; \px computes one from three columns, which \column
// loads. From the second one on the output advances by x17.
.macro pw_row1 px, column=pw_column
    cbz x12, 1f
    pw_padding v0, v1, v2
    b 2f
1:
    \column v0, v1, v2
2:
    \column v3, v4, v5
    subs x10, x10, #3
    b.lo 4f
3:
    \column v6, v7, v8
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8
    mov x17, x9
    \column v0, v1, v2
    \px v3, v4, v5, v6, v7, v8, v0, v1, v2
    \column v3, v4, v5
    \px v6, v7, v8, v0, v1, v2, v3, v4, v5
    subs x10, x10, #3
    b.hs 3b
4:
    adds x10, x10, #3
    b.eq 6f
5:
    \column v6, v7, v8
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8
    mov x17, x9
    pw_move v0, v1, v2, v3, v4, v5
    pw_move v3, v4, v5, v6, v7, v8
    subs x10, x10, #1
    b.ne 5b
6:
    cbz x11, 7f
    pw_padding v6, v7, v8
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8
7:
.endm

// The same, two columns apart; \px_two computes two windows from columns that it loads.
.macro pw_row2 px, column=pw_column
    cbz x12, 1f
    pw_padding v0, v1, v2
    b 2f
1:
    \column v0, v1, v2
2:
    subs x10, x10, #2
    b.lo 4f
3:
    \px\()_two
    subs x10, x10, #2
    b.hs 3b
4:
    tbz x10, #0, 6f
    \column v3, v4, v5
    \column v6, v7, v8
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8
    mov x17, x9
    pw_move v0, v1, v2, v6, v7, v8
6:
    cbz x11, 7f
    \column v3, v4, v5
    pw_padding v6, v7, v8
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8
7:
.endm

// Requantizes v25-v28 and writes sixteen channels.
.macro pw_i8_finish
    ldp q29, q30, [x13]
    sqrdmulh v25.4s, v25.4s, v29.4s
    sqrdmulh v26.4s, v26.4s, v30.4s
    ldp q29, q30, [x13, #32]
    sqrdmulh v27.4s, v27.4s, v29.4s
    sqrdmulh v28.4s, v28.4s, v30.4s
    ldp q29, q30, [x13, #64]
    ssra v25.4s, v25.4s, #31
    ssra v26.4s, v26.4s, #31
    ssra v27.4s, v27.4s, #31
    ssra v28.4s, v28.4s, #31
    srshl v25.4s, v25.4s, v29.4s
    srshl v26.4s, v26.4s, v30.4s
    ldp q29, q30, [x13, #96]
    srshl v27.4s, v27.4s, v29.4s
    srshl v28.4s, v28.4s, v30.4s
    sqxtn v25.4h, v25.4s
    sqxtn v27.4h, v27.4s
    sqxtn2 v25.8h, v26.4s
    sqxtn2 v27.8h, v28.4s
    ldp q29, q30, [x14, #16]
    sqadd v25.8h, v25.8h, v13.8h
    sqadd v27.8h, v27.8h, v13.8h
    sqxtn v25.8b, v25.8h
    sqxtn2 v25.16b, v27.8h
    smax v25.16b, v25.16b, v29.16b
    smin v25.16b, v25.16b, v30.16b
    st1 {v25.16b}, [x7], x9
.endm

// A column of sixteen channels: the first two rows side by side, even channels and odd ones, and the third one.
.macro pw_pairs a, b, c
    ld1 {v29.16b}, [x1], x4
    ld1 {v30.16b}, [x2], x5
    trn1 \a\().16b, v29.16b, v30.16b
    ld1 {\c\().16b}, [x3], x6
    trn2 \b\().16b, v29.16b, v30.16b
.endm

// Sums of sixteen channels; what the window before left is halved and written meanwhile. Even channels are in v9 and
// v10, odd ones in v11 and v12, all times their factors in v25-v28. Products of two taps are added in 16 bits, neighbours
// of those to the sums; of the ninth tap neighbours are channels. x17 is what the output advances by, nothing at first:
// the first call writes what is written again.
.macro pw_sums add, narrow, last, a, b, c, d, e, f, g, h, i
    ld1 {v9.4s, v10.4s, v11.4s, v12.4s}, [x16]
    srshl v25.4s, v25.4s, v9.4s
    srshl v27.4s, v27.4s, v11.4s
    smull2 v30.8h, \i\().16b, v24.16b
    srshl v28.4s, v28.4s, v12.4s
    trn1 v25.8h, v25.8h, v27.8h
    smull v14.8h, \a\().8b, v16.8b
    srshl v26.4s, v26.4s, v10.4s
    ld1 {v9.4s, v10.4s, v11.4s, v12.4s}, [x13]
    smull v29.8h, \i\().8b, v24.8b
    shl v31.4s, v29.4s, #16
    smull v27.8h, \b\().8b, v17.8b
    trn1 v26.8h, v26.8h, v28.8h
    ssra v12.4s, v30.4s, #16
    \add v25
    smlal v14.8h, \d\().8b, v18.8b
    ssra v9.4s, v31.4s, #16
    sadalp v9.4s, v14.8h
    ssra v11.4s, v29.4s, #16
    shl v29.4s, v30.4s, #16
    ssra v10.4s, v29.4s, #16
    smull v14.8h, \h\().8b, v21.8b
    smull v29.8h, \g\().8b, v20.8b
    smlal v27.8h, \e\().8b, v19.8b
    \add v26
    smull2 v30.8h, \b\().16b, v17.16b
    smlal2 v30.8h, \e\().16b, v19.16b
    trn1 v31.16b, \c\().16b, \f\().16b
    smull2 v15.8h, \a\().16b, v16.16b
    smull2 v28.8h, \g\().16b, v20.16b
    sadalp v12.4s, v30.8h
    \narrow v25.8b, v25.8h
    smlal2 v15.8h, \d\().16b, v18.16b
    smull2 v30.8h, \h\().16b, v21.16b
    \narrow\()2 v25.16b, v26.8h
    sadalp v10.4s, v15.8h
    smlal2 v28.8h, v31.16b, v22.16b
    trn2 v15.16b, \c\().16b, \f\().16b
    smlal v29.8h, v31.8b, v22.8b
    sadalp v11.4s, v27.8h
    \last
    sadalp v9.4s, v29.8h
    smlal2 v30.8h, v15.16b, v23.16b
    st1 {v25.16b}, [x7], x17
    sadalp v12.4s, v30.8h
    sadalp v10.4s, v28.8h
    ld1 {v25.4s, v26.4s, v27.4s, v28.4s}, [x8]
    sqrdmulh v26.4s, v10.4s, v26.4s
    smlal v14.8h, v15.8b, v23.8b
    sqrdmulh v25.4s, v9.4s, v25.4s
    sqrdmulh v28.4s, v12.4s, v28.4s
    sadalp v11.4s, v14.8h
    sqrdmulh v27.4s, v11.4s, v27.4s
.endm

.macro pw_none x
.endm

// The zero point.
.macro pw_zero x
    sqadd \x\().8h, \x\().8h, v13.8h
.endm

// The zero point where it is the least number: bytes without a sign become those with one.
.macro pw_flip
    eor v25.16b, v25.16b, v13.16b
.endm

.macro pw_bounds
    ldp q26, q27, [x14, #16]
    smax v25.16b, v25.16b, v26.16b
    smin v25.16b, v25.16b, v27.16b
.endm

// What pw_sums does with the window before, after the last one.
.macro pw_last add, narrow, last
    ld1 {v9.4s, v10.4s, v11.4s, v12.4s}, [x16]
    srshl v25.4s, v25.4s, v9.4s
    srshl v26.4s, v26.4s, v10.4s
    srshl v27.4s, v27.4s, v11.4s
    srshl v28.4s, v28.4s, v12.4s
    trn1 v25.8h, v25.8h, v27.8h
    trn1 v26.8h, v26.8h, v28.8h
    \add v25
    \add v26
    \narrow v25.8b, v25.8h
    \narrow\()2 v25.16b, v26.8h
    \last
    st1 {v25.16b}, [x7]
.endm

.macro pw_i8 a, b, c, d, e, f, g, h, i
    pw_sums pw_zero, sqxtn, pw_bounds, \a, \b, \c, \d, \e, \f, \g, \h, \i
    pw_signs
.endm

// The same where results below the zero point become the lower bound, so that it does not matter how they are rounded.
.macro pw_i8_bounded a, b, c, d, e, f, g, h, i
    pw_sums pw_zero, sqxtn, pw_bounds, \a, \b, \c, \d, \e, \f, \g, \h, \i
.endm

// The same where the bounds are those of the type, so that the zero point is the least number.
.macro pw_i8_open a, b, c, d, e, f, g, h, i
    pw_sums pw_none, sqxtun, pw_flip, \a, \b, \c, \d, \e, \f, \g, \h, \i
.endm

.macro pw_signs
    ssra v25.4s, v25.4s, #31
    ssra v26.4s, v26.4s, #31
    ssra v27.4s, v27.4s, #31
    ssra v28.4s, v28.4s, #31
.endm

// Two windows two columns apart with the columns that they need besides v0-v2, in the order that keeps the units busy:
// what pw_sums does twice.
.macro pw_pair add, narrow, last, signs
    ld1 {v29.16b}, [x1], x4
    ld1 {v5.16b}, [x3], x6
    ld1 {v30.16b}, [x2], x5
    trn1 v3.16b, v29.16b, v30.16b
    trn2 v4.16b, v29.16b, v30.16b
    ld1 {v30.16b}, [x2], x5
    ld1 {v9.4s, v10.4s, v11.4s, v12.4s}, [x16]
    ld1 {v29.16b}, [x1], x4
    srshl v28.4s, v28.4s, v12.4s
    trn2 v7.16b, v29.16b, v30.16b
    srshl v27.4s, v27.4s, v11.4s
    smull v14.8h, v0.8b, v16.8b
    ld1 {v8.16b}, [x3], x6
    trn1 v6.16b, v29.16b, v30.16b
    smull v29.8h, v8.8b, v24.8b
    srshl v26.4s, v26.4s, v10.4s
    srshl v25.4s, v25.4s, v9.4s
    trn1 v25.8h, v25.8h, v27.8h
    ld1 {v9.4s, v10.4s, v11.4s, v12.4s}, [x13]
    ssra v11.4s, v29.4s, #16
    smlal v14.8h, v3.8b, v18.8b
    smull2 v30.8h, v8.16b, v24.16b
    \add v25
    shl v31.4s, v29.4s, #16
    \narrow v25.8b, v25.8h
    trn1 v26.8h, v26.8h, v28.8h
    ssra v9.4s, v31.4s, #16
    smull v27.8h, v1.8b, v17.8b
    smull2 v15.8h, v0.16b, v16.16b
    \add v26
    smlal2 v15.8h, v3.16b, v18.16b
    shl v29.4s, v30.4s, #16
    trn1 v31.16b, v2.16b, v5.16b
    ssra v12.4s, v30.4s, #16
    smlal v27.8h, v4.8b, v19.8b
    smull2 v30.8h, v1.16b, v17.16b
    sadalp v9.4s, v14.8h
    \narrow\()2 v25.16b, v26.8h
    ssra v10.4s, v29.4s, #16
    smull v29.8h, v6.8b, v20.8b
    sadalp v10.4s, v15.8h
    smlal2 v30.8h, v4.16b, v19.16b
    sadalp v12.4s, v30.8h
    sadalp v11.4s, v27.8h
    trn2 v15.16b, v2.16b, v5.16b
    \last
    smull2 v30.8h, v7.16b, v21.16b
    smlal2 v30.8h, v15.16b, v23.16b
    smull v14.8h, v7.8b, v21.8b
    smull2 v28.8h, v6.16b, v20.16b
    smlal v29.8h, v31.8b, v22.8b
    sadalp v9.4s, v29.8h
    sadalp v12.4s, v30.8h
    smlal2 v28.8h, v31.16b, v22.16b
    ld1 {v29.16b}, [x1], x4
    st1 {v25.16b}, [x7], x17
    ld1 {v5.16b}, [x3], x6
    sadalp v10.4s, v28.8h
    ld1 {v25.4s, v26.4s, v27.4s, v28.4s}, [x8]
    sqrdmulh v25.4s, v9.4s, v25.4s
    sqrdmulh v28.4s, v12.4s, v28.4s
    smlal v14.8h, v15.8b, v23.8b
    ld1 {v30.16b}, [x2], x5
    trn2 v4.16b, v29.16b, v30.16b
    sadalp v11.4s, v14.8h
    sqrdmulh v26.4s, v10.4s, v26.4s
    trn1 v3.16b, v29.16b, v30.16b
    sqrdmulh v27.4s, v11.4s, v27.4s
    ld1 {v9.4s, v10.4s, v11.4s, v12.4s}, [x16]
    ld1 {v29.16b}, [x1], x4
    ld1 {v30.16b}, [x2], x5
    mov x17, x9
    \signs
    srshl v25.4s, v25.4s, v9.4s
    trn1 v0.16b, v29.16b, v30.16b
    trn2 v1.16b, v29.16b, v30.16b
    ld1 {v2.16b}, [x3], x6
    srshl v27.4s, v27.4s, v11.4s
    trn1 v25.8h, v25.8h, v27.8h
    srshl v28.4s, v28.4s, v12.4s
    smull2 v30.8h, v2.16b, v24.16b
    smull v14.8h, v6.8b, v16.8b
    srshl v26.4s, v26.4s, v10.4s
    ld1 {v9.4s, v10.4s, v11.4s, v12.4s}, [x13]
    ssra v12.4s, v30.4s, #16
    \add v25
    smull v29.8h, v2.8b, v24.8b
    \narrow v25.8b, v25.8h
    smlal v14.8h, v3.8b, v18.8b
    ssra v11.4s, v29.4s, #16
    smull v27.8h, v7.8b, v17.8b
    smlal v27.8h, v4.8b, v19.8b
    shl v31.4s, v29.4s, #16
    ssra v9.4s, v31.4s, #16
    shl v29.4s, v30.4s, #16
    trn1 v31.16b, v8.16b, v5.16b
    sadalp v9.4s, v14.8h
    smull v14.8h, v1.8b, v21.8b
    trn1 v26.8h, v26.8h, v28.8h
    smull2 v30.8h, v7.16b, v17.16b
    sadalp v11.4s, v27.8h
    \add v26
    smlal2 v30.8h, v4.16b, v19.16b
    ssra v10.4s, v29.4s, #16
    smull v29.8h, v0.8b, v20.8b
    smull2 v15.8h, v6.16b, v16.16b
    smull2 v28.8h, v0.16b, v20.16b
    smlal2 v28.8h, v31.16b, v22.16b
    smlal v29.8h, v31.8b, v22.8b
    sadalp v9.4s, v29.8h
    sadalp v12.4s, v30.8h
    \narrow\()2 v25.16b, v26.8h
    smlal2 v15.8h, v3.16b, v18.16b
    \last
    sadalp v10.4s, v15.8h
    trn2 v15.16b, v8.16b, v5.16b
    smull2 v30.8h, v1.16b, v21.16b
    smlal2 v30.8h, v15.16b, v23.16b
    st1 {v25.16b}, [x7], x17
    sadalp v12.4s, v30.8h
    smlal v14.8h, v15.8b, v23.8b
    sadalp v10.4s, v28.8h
    ld1 {v25.4s, v26.4s, v27.4s, v28.4s}, [x8]
    sqrdmulh v28.4s, v12.4s, v28.4s
    sqrdmulh v25.4s, v9.4s, v25.4s
    sqrdmulh v26.4s, v10.4s, v26.4s
    sadalp v11.4s, v14.8h
    sqrdmulh v27.4s, v11.4s, v27.4s
    \signs
.endm

.macro pw_i8_two
    pw_pair pw_zero, sqxtn, pw_bounds, pw_signs
.endm

.macro pw_i8_bounded_two
    pw_pair pw_zero, sqxtn, pw_bounds, pw_none
.endm

.macro pw_i8_open_two
    pw_pair pw_none, sqxtun, pw_flip, pw_none
.endm

// The same where no two products may be added in 16 bits.
.macro pw_each x, w
    smull v29.8h, \x\().8b, \w\().8b
    smull2 v30.8h, \x\().16b, \w\().16b
    saddw v25.4s, v25.4s, v29.4h
    saddw2 v26.4s, v26.4s, v29.8h
    saddw v27.4s, v27.4s, v30.4h
    saddw2 v28.4s, v28.4s, v30.8h
.endm

.macro pw_i8_large a, b, c, d, e, f, g, h, i
    ldp q25, q26, [x13, #-64]
    ldp q27, q28, [x13, #-32]
    pw_each \a, v16
    pw_each \d, v17
    pw_each \g, v18
    pw_each \b, v19
    pw_each \e, v20
    pw_each \h, v21
    pw_each \c, v22
    pw_each \f, v23
    pw_each \i, v24
    pw_i8_finish
.endm

// Of eight channels.
.macro pw_each8 x, w
    smull v29.8h, \x\().8b, \w\().8b
    saddw v25.4s, v25.4s, v29.4h
    saddw2 v26.4s, v26.4s, v29.8h
.endm

.macro pw_i8_half a, b, c, d, e, f, g, h, i
    ldp q25, q26, [x13, #-64]
    pw_each8 \a, v16
    pw_each8 \d, v17
    pw_each8 \g, v18
    pw_each8 \b, v19
    pw_each8 \e, v20
    pw_each8 \h, v21
    pw_each8 \c, v22
    pw_each8 \f, v23
    pw_each8 \i, v24
    ldp q29, q30, [x13]
    sqrdmulh v25.4s, v25.4s, v29.4s
    sqrdmulh v26.4s, v26.4s, v30.4s
    ldp q29, q30, [x13, #64]
    ssra v25.4s, v25.4s, #31
    ssra v26.4s, v26.4s, #31
    srshl v25.4s, v25.4s, v29.4s
    srshl v26.4s, v26.4s, v30.4s
    sqxtn v25.4h, v25.4s
    sqxtn2 v25.8h, v26.4s
    ldp q29, q30, [x14, #16]
    sqadd v25.8h, v25.8h, v13.8h
    sqxtn v25.8b, v25.8h
    smax v25.8b, v25.8b, v29.8b
    smin v25.8b, v25.8b, v30.8b
    st1 {v25.8b}, [x7], x9
.endm

// Two windows two columns apart, one after the other.
.macro pw_one_by_one px, column
    \column v3, v4, v5
    \column v6, v7, v8
    \px v0, v1, v2, v3, v4, v5, v6, v7, v8
    \column v3, v4, v5
    \column v0, v1, v2
    \px v6, v7, v8, v3, v4, v5, v0, v1, v2
.endm

.macro pw_i8_large_two
    pw_one_by_one pw_i8_large, pw_column
.endm

.macro pw_i8_half_two
    pw_one_by_one pw_i8_half, pw_column8
.endm

.macro pw_real t, a, b, c, d, e, f, g, h, i
    ldr q25, [x17]
    fmla v25.\t, \a\().\t, v16.\t
    fmla v25.\t, \d\().\t, v17.\t
    fmla v25.\t, \g\().\t, v18.\t
    fmla v25.\t, \b\().\t, v19.\t
    fmla v25.\t, \e\().\t, v20.\t
    fmla v25.\t, \h\().\t, v21.\t
    fmla v25.\t, \c\().\t, v22.\t
    fmla v25.\t, \f\().\t, v23.\t
    fmla v25.\t, \i\().\t, v24.\t
    fmax v25.\t, v25.\t, v10.\t
    fmin v25.\t, v25.\t, v11.\t
    st1 {v25.16b}, [x7], x9
.endm

// Channels of two windows at once, so that neither sum waits for the other; \a-\i the first one's columns,
// \j-\r the second one's.
.macro pw_real_two t, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r
    ldr q25, [x17]
    ldr q26, [x17]
    fmla v25.\t, \a\().\t, v16.\t
    fmla v26.\t, \j\().\t, v16.\t
    fmla v25.\t, \d\().\t, v17.\t
    fmla v26.\t, \m\().\t, v17.\t
    fmla v25.\t, \g\().\t, v18.\t
    fmla v26.\t, \p\().\t, v18.\t
    fmla v25.\t, \b\().\t, v19.\t
    fmla v26.\t, \k\().\t, v19.\t
    fmla v25.\t, \e\().\t, v20.\t
    fmla v26.\t, \n\().\t, v20.\t
    fmla v25.\t, \h\().\t, v21.\t
    fmla v26.\t, \q\().\t, v21.\t
    fmla v25.\t, \c\().\t, v22.\t
    fmla v26.\t, \l\().\t, v22.\t
    fmla v25.\t, \f\().\t, v23.\t
    fmla v26.\t, \o\().\t, v23.\t
    fmla v25.\t, \i\().\t, v24.\t
    fmla v26.\t, \r\().\t, v24.\t
    fmax v25.\t, v25.\t, v10.\t
    fmax v26.\t, v26.\t, v10.\t
    fmin v25.\t, v25.\t, v11.\t
    fmin v26.\t, v26.\t, v11.\t
    st1 {v25.16b}, [x7], x9
    st1 {v26.16b}, [x7], x9
.endm

// All windows of a row one column apart: columns v0-v2, v3-v5, v6-v8 and v27-v29 in turn.
.macro pw_real_row1 t
    cbz x12, 1f
    pw_padding v0, v1, v2
    b 2f
1:
    pw_column v0, v1, v2
2:
    pw_column v3, v4, v5
    subs x10, x10, #4
    b.lo 4f
3:
    pw_column v6, v7, v8
    pw_column v27, v28, v29
    pw_real_two \t, v0, v1, v2, v3, v4, v5, v6, v7, v8, v3, v4, v5, v6, v7, v8, v27, v28, v29
    pw_column v0, v1, v2
    pw_column v3, v4, v5
    pw_real_two \t, v6, v7, v8, v27, v28, v29, v0, v1, v2, v27, v28, v29, v0, v1, v2, v3, v4, v5
    subs x10, x10, #4
    b.hs 3b
4:
    tbz x10, #1, 5f
    pw_column v6, v7, v8
    pw_column v27, v28, v29
    pw_real_two \t, v0, v1, v2, v3, v4, v5, v6, v7, v8, v3, v4, v5, v6, v7, v8, v27, v28, v29
    pw_move v0, v1, v2, v6, v7, v8
    pw_move v3, v4, v5, v27, v28, v29
5:
    tbz x10, #0, 6f
    pw_column v6, v7, v8
    pw_real \t, v0, v1, v2, v3, v4, v5, v6, v7, v8
    pw_move v0, v1, v2, v3, v4, v5
    pw_move v3, v4, v5, v6, v7, v8
6:
    cbz x11, 7f
    pw_padding v6, v7, v8
    pw_real \t, v0, v1, v2, v3, v4, v5, v6, v7, v8
7:
.endm

// What a row of the input adds to four windows two columns apart: the first column is in \x, and the last one is
// afterwards.
.macro pw_real_line t, x, from, step, u, v, w
    ld1 {v3.16b}, [\from], \step
    ld1 {v4.16b}, [\from], \step
    ld1 {v5.16b}, [\from], \step
    ld1 {v6.16b}, [\from], \step
    fmla v12.\t, \x\().\t, \u\().\t
    ld1 {v7.16b}, [\from], \step
    ld1 {v8.16b}, [\from], \step
    ld1 {v27.16b}, [\from], \step
    ld1 {\x\().16b}, [\from], \step
    fmla v13.\t, v4.\t, \u\().\t
    fmla v14.\t, v6.\t, \u\().\t
    fmla v15.\t, v8.\t, \u\().\t
    fmla v12.\t, v3.\t, \v\().\t
    fmla v13.\t, v5.\t, \v\().\t
    fmla v14.\t, v7.\t, \v\().\t
    fmla v15.\t, v27.\t, \v\().\t
    fmla v12.\t, v4.\t, \w\().\t
    fmla v13.\t, v6.\t, \w\().\t
    fmla v14.\t, v8.\t, \w\().\t
    fmla v15.\t, \x\().\t, \w\().\t
.endm

// All windows of a row two columns apart: four at once, row by row, then two by columns, also in v12-v14 and v27-v29.
.macro pw_real_row2 t
    cbz x12, 1f
    pw_padding v0, v1, v2
    b 2f
1:
    pw_column v0, v1, v2
2:
    subs x10, x10, #4
    b.lo 4f
    ldr q9, [x17]
3:
    mov v12.16b, v9.16b
    mov v13.16b, v9.16b
    mov v14.16b, v9.16b
    mov v15.16b, v9.16b
    pw_real_line \t, v0, x1, x4, v16, v17, v18
    pw_real_line \t, v1, x2, x5, v19, v20, v21
    pw_real_line \t, v2, x3, x6, v22, v23, v24
    fmax v12.\t, v12.\t, v10.\t
    fmax v13.\t, v13.\t, v10.\t
    fmax v14.\t, v14.\t, v10.\t
    fmax v15.\t, v15.\t, v10.\t
    fmin v12.\t, v12.\t, v11.\t
    fmin v13.\t, v13.\t, v11.\t
    fmin v14.\t, v14.\t, v11.\t
    fmin v15.\t, v15.\t, v11.\t
    st1 {v12.16b}, [x7], x9
    st1 {v13.16b}, [x7], x9
    st1 {v14.16b}, [x7], x9
    st1 {v15.16b}, [x7], x9
    subs x10, x10, #4
    b.hs 3b
4:
    tbz x10, #1, 5f
    pw_column v3, v4, v5
    pw_column v6, v7, v8
    pw_column v12, v13, v14
    pw_column v27, v28, v29
    pw_real_two \t, v0, v1, v2, v3, v4, v5, v6, v7, v8, v6, v7, v8, v12, v13, v14, v27, v28, v29
    pw_move v0, v1, v2, v27, v28, v29
5:
    tbz x10, #0, 6f
    pw_column v3, v4, v5
    pw_column v6, v7, v8
    pw_real \t, v0, v1, v2, v3, v4, v5, v6, v7, v8
    pw_move v0, v1, v2, v6, v7, v8
6:
    cbz x11, 7f
    pw_column v3, v4, v5
    pw_padding v6, v7, v8
    pw_real \t, v0, v1, v2, v3, v4, v5, v6, v7, v8
7:
.endm

// The constants of sixteen channels: a block of weights at x13, those of all channels at x14.
.macro pw_i8_constants
    ldp q9, q10, [x13], #32
    ldp q11, q12, [x13], #32
    add x16, x13, #128
    ldp q16, q17, [x16]
    ldp q18, q19, [x16, #32]
    ldp q20, q21, [x16, #64]
    ldp q22, q23, [x16, #96]
    ldr q24, [x16, #128]
    ldr q13, [x14]
.endm

// The same for pw_sums: weights side by side as pw_pairs leaves columns; x13 points to the sums of even channels and
// odd ones, x8 to their mantissas and x16 to their shifts.
.macro pw_pairs_constants
    pw_i8_constants
    trn1 v25.16b, v16.16b, v19.16b
    trn2 v26.16b, v16.16b, v19.16b
    trn1 v27.16b, v17.16b, v20.16b
    trn2 v28.16b, v17.16b, v20.16b
    trn1 v20.16b, v18.16b, v21.16b
    trn2 v21.16b, v18.16b, v21.16b
    mov v16.16b, v25.16b
    mov v17.16b, v26.16b
    trn1 v25.16b, v22.16b, v23.16b
    trn2 v23.16b, v22.16b, v23.16b
    mov v18.16b, v27.16b
    mov v19.16b, v28.16b
    mov v22.16b, v25.16b
    add x13, x13, #464
    add x8, x13, #64
    add x16, x13, #128
    mov x17, #0
.endm

// The same with the lower bound, the least number, in the place of the zero point.
.macro pw_open_constants
    pw_pairs_constants
    ldr q13, [x14, #16]
.endm

// Of four channels of f32 or eight of half precision: weights at x13, x14 bytes apart; the bias and bounds follow in the arguments.
.macro pw_real_constants t
    ld1 {v16.\t}, [x13], x14
    ld1 {v17.\t}, [x13], x14
    ld1 {v18.\t}, [x13], x14
    ld1 {v19.\t}, [x13], x14
    ld1 {v20.\t}, [x13], x14
    ld1 {v21.\t}, [x13], x14
    ld1 {v22.\t}, [x13], x14
    ld1 {v23.\t}, [x13], x14
    ld1 {v24.\t}, [x13]
    ldr x17, [x0, #112]
    add x16, x0, #120
    ld2r {v10.\t, v11.\t}, [x16]
.endm

.macro pw_last_bounded
    pw_last pw_zero, sqxtn, pw_bounds
.endm

.macro pw_last_open
    pw_last pw_none, sqxtun, pw_flip
.endm

.macro pw_function name, constants, row, px, column, last=pw_none
.p2align 5
.hidden \name
.globl \name
.type \name, %function
\name:
    pw_enter
    \constants
    \row \px, \column
    \last
    pf_leave
.size \name, . - \name
.endm

.text
pw_function paring_neon_i8_depthwise3_1, pw_pairs_constants, pw_row1, pw_i8, pw_pairs, pw_last_bounded
pw_function paring_neon_i8_depthwise3_2, pw_pairs_constants, pw_row2, pw_i8, pw_pairs, pw_last_bounded
pw_function paring_neon_i8_depthwise3_bounded_1, pw_pairs_constants, pw_row1, pw_i8_bounded, pw_pairs, pw_last_bounded
pw_function paring_neon_i8_depthwise3_bounded_2, pw_pairs_constants, pw_row2, pw_i8_bounded, pw_pairs, pw_last_bounded
pw_function paring_neon_i8_depthwise3_open_1, pw_open_constants, pw_row1, pw_i8_open, pw_pairs, pw_last_open
pw_function paring_neon_i8_depthwise3_open_2, pw_open_constants, pw_row2, pw_i8_open, pw_pairs, pw_last_open
pw_function paring_neon_i8_depthwise3_large_1, pw_i8_constants, pw_row1, pw_i8_large, pw_column
pw_function paring_neon_i8_depthwise3_large_2, pw_i8_constants, pw_row2, pw_i8_large, pw_column
pw_function paring_neon_i8_depthwise3_half_1, pw_i8_constants, pw_row1, pw_i8_half, pw_column8
pw_function paring_neon_i8_depthwise3_half_2, pw_i8_constants, pw_row2, pw_i8_half, pw_column8

.macro pw_real_function name, t, row
.p2align 5
.hidden \name
.globl \name
.type \name, %function
\name:
    pw_enter
    pw_real_constants \t
    \row \t
    pf_leave
.size \name, . - \name
.endm

pw_real_function paring_neon_f32_depthwise3_1, 4s, pw_real_row1
pw_real_function paring_neon_f32_depthwise3_2, 4s, pw_real_row2
.arch_extension fp16
pw_real_function paring_neon_f16_depthwise3_1, 8h, pw_real_row1
pw_real_function paring_neon_f16_depthwise3_2, 8h, pw_real_row2
.arch_extension nofp16
