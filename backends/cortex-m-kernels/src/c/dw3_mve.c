/* One channel of a 3x3 depthwise convolution. Its rows pass through a strip in which each column's four
 * bytes are rows one below the other, so 12 neighbouring bytes are a window. A step moves the strip two
 * rows down; since every row is read once, outputs may take their inputs' places. At stride 1 a strip
 * gives two rows of outputs, at stride 2 one. */
typedef struct {
    int32_t bias, multiplier, shift, zero; /* the right shift negative */
    uint32_t weights[3];                   /* a column each, from the top */
    const int8_t *in;                      /* the first row of the first step */
    int8_t *out;
    int8_t *strip;
    int32_t inner;                         /* bytes of the strip left of the image */
    int32_t in_x, in_y, out_x, out_y;
    int32_t in_w, out_w;
    int32_t row, in_h;                     /* the first row of the first step, and how many there are */
    int32_t out_h;
    uint32_t fill;                         /* zeros in the lower two rows of a column */
    uint32_t places;                       /* in a column's bytes of a step's rows, 16 bits each */
} pr_dw;

#ifdef PR_HELIUM
/* r0, r2, r4, r6 sums of the first row (of even columns at stride 2), r8, r10, r12, lr of the second
 * (of odd columns); r1 bias, r3 strip, r5 columns left, r7 out, r9 multiplier, r11 step of out; q2 places
 * of the outputs, q4 zero, q5 shift, q6 and q7 weights. During a step q3 and q4 are places of what is
 * read and written, q5 fills. On the stack: sums, q3 and q4 of a step, d, in, out, row, rows left. */
#define PR_DW_BOTH(a, b)              \
    "vldrb.s8 q0, [r3], #4\n\t"       \
    "vmladav.s8 " a ", q0, q6\n\t"    \
    "vmladav.s8 " b ", q0, q7\n\t"
#define PR_DW_SUMS_1                  \
    PR_DW_BOTH("r0", "r8") PR_DW_BOTH("r2", "r10") PR_DW_BOTH("r4", "r12") PR_DW_BOTH("r6", "lr")
#define PR_DW_EACH(a, b)              \
    "vldrb.s8 q0, [r3], #8\n\t"       \
    "vmladav.s8 " a ", q0, q6\n\t"    \
    "vldrb.s8 q1, [r3], #8\n\t"       \
    "vmladav.s8 " b ", q1, q6\n\t"
#define PR_DW_SUMS_2                  \
    PR_DW_EACH("r0", "r8") PR_DW_EACH("r2", "r10") PR_DW_EACH("r4", "r12") PR_DW_EACH("r6", "lr")
#define PR_DW_PLACES_1                \
    "ldrd r4, r5, [r0, #52]\n\t"      \
    "orr r4, r4, r4, lsl #16\n\t"     \
    "vmul.i32 q2, q0, r4\n\t"         \
    "lsls r5, r5, #16\n\t"            \
    "vadd.i32 q2, q2, r5\n\t"         \
    "vshl.i32 q7, q6, #8\n\t"
#define PR_DW_PLACES_2                \
    "ldr r4, [r0, #52]\n\t"           \
    "movs r6, #0\n\t"                 \
    "vidup.u16 q2, r6, #1\n\t"        \
    "vmul.i16 q2, q2, r4\n\t"
/* A last single row is given twice. */
#define PR_DW_LAST_1                  \
    "cmp r4, #1\n\t"                  \
    "bne 2f\n\t"                      \
    "vmov q7, q6\n\t"                 \
    "vshl.i32 q0, q2, #16\n\t"        \
    "vshr.u32 q1, q0, #16\n\t"        \
    "vorr q2, q0, q1\n"
/* Ties of the shift go away from zero; where the zero point is -128 negative numbers saturate anyway. */
#define PR_DW_TIES(q)                 \
    "vshr.s32 q3, " q ", #31\n\t"     \
    "vadd.i32 " q ", " q ", q3\n\t"
#define PR_DW_NO_TIES(q)
#define PR_DW3(sums, out_places, last, rows, lanes, per_step, ties) \
    "push {r4-r11, lr}\n\t"           \
    "vpush {d8-d15}\n\t"              \
    "sub sp, sp, #84\n\t"             \
    "str r0, [sp, #64]\n\t"           \
    "ldrd r2, r3, [r0, #28]\n\t"      \
    "strd r2, r3, [sp, #68]\n\t"      \
    "ldr r4, [r0, #68]\n\t"           \
    "ldr r5, [r0, #76]\n\t"           \
    "strd r4, r5, [sp, #76]\n\t"      \
    "movs r6, #0\n\t"                 \
    "vidup.u32 q0, r6, #1\n\t"        \
    "ldrd r4, r5, [r0, #44]\n\t"      \
    "orr r4, r4, r4, lsl #16\n\t"     \
    "vmul.i32 q1, q0, r4\n\t"         \
    "lsls r5, r5, #16\n\t"            \
    "vadd.i32 q1, q1, r5\n\t"         \
    "vstrw.32 q1, [sp, #32]\n\t"      \
    "mov r4, #0x40004\n\t"            \
    "vmul.i32 q1, q0, r4\n\t"         \
    "ldr r5, [r0, #84]\n\t"           \
    "vadd.i32 q1, q1, r5\n\t"         \
    "vstrw.32 q1, [sp, #48]\n\t"      \
    "movs r6, #0\n\t"                 \
    "ldrd r4, r5, [r0, #16]\n\t"      \
    "ldr r7, [r0, #24]\n\t"           \
    "vmov q6[2], q6[0], r4, r7\n\t"   \
    "vmov q6[3], q6[1], r5, r6\n\t"   \
    out_places                        \
    "bl 7f\n"                         \
    "1:\n\t"                          \
    "bl 7f\n\t"                       \
    "ldrd r1, r9, [r0]\n\t"           \
    "ldrd r4, r5, [r0, #8]\n\t"       \
    "vdup.32 q5, r4\n\t"              \
    "vdup.16 q4, r5\n\t"              \
    "ldr r3, [r0, #36]\n\t"           \
    "ldr r5, [r0, #64]\n\t"           \
    "ldr r11, [r0, #52]\n\t"          \
    "lsl r11, r11, #" per_step "\n\t" \
    "ldr r7, [sp, #72]\n\t"           \
    "ldr r4, [sp, #80]\n\t"           \
    last                              \
    "2:\n\t"                          \
    sums                              \
    "stm sp, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t" \
    "vldrw.32 q0, [sp]\n\t"           \
    "vadd.i32 q0, q0, r1\n\t"         \
    "vqrdmulh.s32 q0, q0, r9\n\t"     \
    ties("q0")                        \
    "vrshl.s32 q0, q0, q5\n\t"        \
    "vqmovnb.s32 q0, q0\n\t"          \
    "vldrw.32 q1, [sp, #16]\n\t"      \
    "vadd.i32 q1, q1, r1\n\t"         \
    "vqrdmulh.s32 q1, q1, r9\n\t"     \
    ties("q1")                        \
    "vrshl.s32 q1, q1, q5\n\t"        \
    "vqmovnt.s32 q0, q1\n\t"          \
    "vctp." lanes " r5\n\t"           \
    "vqadd.s16 q0, q0, q4\n\t"        \
    "subs r5, r5, #1 << (" per_step ")\n\t" \
    "vqmovnb.s16 q0, q0\n\t"          \
    "vpst\n\t"                        \
    "vstrbt.16 q0, [r7, q2]\n\t"      \
    "add r7, r7, r11\n\t"             \
    "bgt.w 2b\n\t"                    \
    "ldr r0, [sp, #64]\n\t"           \
    "ldrd r3, r4, [sp, #72]\n\t"      \
    "ldr r2, [r0, #56]\n\t"           \
    "mov r5, #" rows "\n\t"           \
    "mla r3, r2, r5, r3\n\t"          \
    "str r3, [sp, #72]\n\t"           \
    "ldr r4, [sp, #80]\n\t"           \
    "subs r4, r4, r5\n\t"             \
    "str r4, [sp, #80]\n\t"           \
    "bgt.w 1b\n\t"                    \
    "add sp, sp, #84\n\t"             \
    "vpop {d8-d15}\n\t"               \
    "pop {r4-r11, pc}\n"              \
    "7:\n\t"                          \
    "mov r8, lr\n\t"                  \
    "ldr r0, [sp, #64]\n\t"           \
    "ldr r2, [sp, #76]\n\t"           \
    "ldr r3, [r0, #72]\n\t"           \
    "movs r4, #0\n\t"                 \
    "movw r6, #0xcccc\n\t"            \
    "cmp r2, r3\n\t"                  \
    "it lo\n\t"                       \
    "movwlo r4, #0x3333\n\t"          \
    "adds r5, r2, #1\n\t"             \
    "cmp r5, r3\n\t"                  \
    "it lo\n\t"                       \
    "orrlo r4, r4, r6\n\t"            \
    "vmsr p0, r4\n\t"                 \
    "adds r2, r2, #2\n\t"             \
    "str r2, [sp, #76]\n\t"           \
    "ldr r1, [sp, #68]\n\t"           \
    "ldr r4, [r0, #48]\n\t"           \
    "add r4, r1, r4, lsl #1\n\t"      \
    "str r4, [sp, #68]\n\t"           \
    "ldrd r4, r5, [r0, #36]\n\t"      \
    "add r4, r4, r5\n\t"              \
    "ldr r6, [r0, #44]\n\t"           \
    "lsls r6, r6, #2\n\t"             \
    "ldr r5, [r0, #60]\n\t"           \
    "lsls r5, r5, #1\n\t"             \
    "ldr r7, [r0, #80]\n\t"           \
    "vdup.32 q5, r7\n\t"              \
    "vldrw.32 q3, [sp, #32]\n\t"      \
    "vldrw.32 q4, [sp, #48]\n\t"      \
    "dlstp.16 lr, r5\n"               \
    "8:\n\t"                          \
    "vldrw.32 q0, [r4]\n\t"           \
    "vsri.32 q5, q0, #16\n\t"         \
    "vstrw.32 q5, [r4]\n\t"           \
    "vpstt\n\t"                       \
    "vldrbt.u16 q1, [r1, q3]\n\t"     \
    "vstrbt.16 q1, [r4, q4]\n\t"      \
    "add r4, r4, #16\n\t"             \
    "add r1, r1, r6\n\t"              \
    "letp lr, 8b\n\t"                 \
    "bx r8"
#else
static void pr_dw_step(const pr_dw *d, const int8_t *in, int32_t row, int32_t stride)
{
    int8_t *t = d->strip + d->inner;
    for (int32_t x = 0; x < d->in_w; x++, t += 4, in += d->in_x) {
        int8_t fill = (int8_t)(d->fill >> 24);
        t[0] = t[2], t[1] = t[3], t[2] = t[3] = fill;
        if (row >= 0 && row < d->in_h) {
            t[3 - stride] = in[0];
        }
        if (row + 1 >= 0 && row + 1 < d->in_h) {
            t[4 - stride] = in[d->in_y];
        }
    }
}

static void pr_dw3_plain(const pr_dw *d, int32_t stride)
{
    const int8_t *in = d->in;
    int32_t row = d->row;
    pr_dw_step(d, in, row, stride);
    for (int32_t y = 0; y < d->out_h;) {
        row += 2;
        in += 2 * d->in_y;
        pr_dw_step(d, in, row, stride);
        for (int32_t part = 0; part < 3 - stride && y < d->out_h; part++, y++) {
            for (int32_t x = 0; x < d->out_w; x++) {
                const int8_t *t = d->strip + 4 * stride * x + part;
                int32_t acc = d->bias;
                for (int32_t k = 0; k < 9; k++) {
                    acc += t[k / 3 * 4 + k % 3] * (int8_t)(d->weights[k / 3] >> (k % 3 * 8));
                }
                d->out[y * d->out_y + x * d->out_x] =
                    (int8_t)pr_requant(acc, d->multiplier, (uint32_t)(-d->shift - 1), 2 * d->zero + 1);
            }
        }
    }
}
#endif
