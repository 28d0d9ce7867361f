// Products of i8 whose weights are codes of four bits: one row times eight or 16 channels of a panel.
//
// Arguments and registers as in i8_mlal.s and i8_dot.s, but x10 points to codes. A register of codes has the weights of
// four elements: in its lower halves those of four channels, in its upper ones those of the next four. There are two
// ways to bring them to registers of their own:
// places in a table, which is in v4, and 15 in each byte of v5;
// numbers: the lower one and sixteen times the upper one. Rounded to a sixteenth a byte is the upper number; what is
// multiplied with the byte itself is the sum of both products, so that the lower sum is what is left without 16 times the
// upper one.

// Codes from the places of \a to the weights of \a and \b.
.macro pc_table a, b
    ushr \b\().16b, \a\().16b, #4
    and \a\().16b, \a\().16b, v5.16b
    tbl \b\().16b, {v4.16b}, \b\().16b
    tbl \a\().16b, {v4.16b}, \a\().16b
.endm

.macro pc_numbers a, b
    srshr \b\().16b, \a\().16b, #4
.endm

// What is done before the first and after the last product; the sums of lower halves are \a and \c, of upper ones \b and
// \d.
.macro pc_table_open a, b, c, d
    ldr x12, [x0, #120]
    ldr q4, [x12]
    movi v5.16b, #15
.endm

.macro pc_table_close a, b, c, d
.endm

.macro pc_numbers_open a, b, c, d
    shl v4.4s, \b\().4s, #4
    shl v5.4s, \d\().4s, #4
    add \a\().4s, \a\().4s, v4.4s
    add \c\().4s, \c\().4s, v5.4s
.endm

.macro pc_numbers_close a, b, c, d
    shl v4.4s, \b\().4s, #4
    shl v5.4s, \d\().4s, #4
    sub \a\().4s, \a\().4s, v4.4s
    sub \c\().4s, \c\().4s, v5.4s
.endm

// One row times eight channels without dot product; the codes of a group are \step bytes after those before.
.macro pc_mlal by, step
    pi_enter
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5]
    \by\()_open v0, v2, v1, v3
    mov x11, x10
    mov x16, x6
2:
    pf_pieces1 0
    subs x17, x7, #16
    b.lo 4f
3:
    ldr q22, [x11, #\step]
    ldr q24, [x11, #2 * \step]
    ldr q26, [x11, #3 * \step]
    ldr q20, [x11], #4 * \step
    \by v20, v21
    \by v22, v23
    \by v24, v25
    \by v26, v27
    pi_row16 x12, v0, v1, v2, v3
    subs x17, x17, #16
    b.hs 3b
4:
    ands x17, x17, #12
    b.eq 6f
5:
    ldr q20, [x11], #\step
    \by v20, v21
    pi_row4 x12, v0, v1, v2, v3
    subs x17, x17, #4
    b.ne 5b
6:
    subs x16, x16, #1
    b.ne 2b
    \by\()_close v0, v2, v1, v3
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    addp v0.4s, v0.4s, v1.4s
    addp v1.4s, v2.4s, v3.4s
    pi_finish1x8 pf_leave
.endm

.text
pn_function paring_neon_i8_mlal_1x8_of16_table
    pc_mlal pc_table, 32
pn_end paring_neon_i8_mlal_1x8_of16_table

pn_function paring_neon_i8_mlal_1x8_table
    pc_mlal pc_table, 16
pn_end paring_neon_i8_mlal_1x8_table

pn_function paring_neon_i8_mlal_1x8_of16_numbers
    pc_mlal pc_numbers, 32
pn_end paring_neon_i8_mlal_1x8_of16_numbers

pn_function paring_neon_i8_mlal_1x8_numbers
    pc_mlal pc_numbers, 16
pn_end paring_neon_i8_mlal_1x8_numbers

.arch_extension dotprod

// Four elements of 16 channels: the codes of eight channels in \a, and of the next eight in \b.
.macro pc_dot16 by, a, b, x, l
    \by \a, v30
    \by \b, v31
    sdot v0.4s, \a\().16b, \x\().4b[\l]
    sdot v1.4s, v30.16b, \x\().4b[\l]
    sdot v2.4s, \b\().16b, \x\().4b[\l]
    sdot v3.4s, v31.16b, \x\().4b[\l]
.endm

// Four elements of eight channels.
.macro pc_dot8 by, a, x, l
    \by \a, v30
    sdot v0.4s, \a\().16b, \x\().4b[\l]
    sdot v1.4s, v30.16b, \x\().4b[\l]
.endm

.macro pc_ones16 by
    ld1 {v20.16b, v21.16b, v22.16b, v23.16b}, [x11], #64
    ld1 {v24.16b, v25.16b, v26.16b, v27.16b}, [x11], #64
    pc_dot16 \by, v20, v21, v16, 0
    pc_dot16 \by, v22, v23, v16, 1
    pc_dot16 \by, v24, v25, v16, 2
    pc_dot16 \by, v26, v27, v16, 3
.endm

.macro pc_end16 by
    ldp q20, q21, [x11], #32
    pc_dot16 \by, v20, v21, v16, 0
.endm

.macro pc_ones8 by
    ld1 {v20.16b, v21.16b, v22.16b, v23.16b}, [x11], #64
    pc_dot8 \by, v20, v16, 0
    pc_dot8 \by, v21, v16, 1
    pc_dot8 \by, v22, v16, 2
    pc_dot8 \by, v23, v16, 3
.endm

.macro pc_end8 by
    ldr q20, [x11], #16
    pc_dot8 \by, v20, v16, 0
.endm

// One row times 16 channels.
.macro pc_dot_wide by
    pi_enter
    ld1 {v0.4s, v1.4s, v2.4s, v3.4s}, [x5]
    \by\()_open v0, v1, v2, v3
    mov x11, x10
    mov x16, x6
    pf_taps1 0, 16, 12, 4, pc_ones16, pc_end16, \by
    \by\()_close v0, v1, v2, v3
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    pd_finish1x16 pf_leave
.endm

// One row times eight channels.
.macro pc_dot_narrow by
    pi_enter
    ld1 {v0.4s, v1.4s}, [x5]
    \by\()_open v0, v1, v2, v3
    mov x11, x10
    mov x16, x6
    pf_taps1 0, 16, 12, 4, pc_ones8, pc_end8, \by
    \by\()_close v0, v1, v2, v3
    ldp x12, x13, [x0, #96]
    ldr w16, [x0, #88]
    pi_finish1x8 pf_leave
.endm

pn_function paring_neon_i8_dot_1x16_table
    pc_dot_wide pc_table
pn_end paring_neon_i8_dot_1x16_table

pn_function paring_neon_i8_dot_1x8_table
    pc_dot_narrow pc_table
pn_end paring_neon_i8_dot_1x8_table

pn_function paring_neon_i8_dot_1x16_numbers
    pc_dot_wide pc_numbers
pn_end paring_neon_i8_dot_1x16_numbers

pn_function paring_neon_i8_dot_1x8_numbers
    pc_dot_narrow pc_numbers
pn_end paring_neon_i8_dot_1x8_numbers

.arch_extension nodotprod
