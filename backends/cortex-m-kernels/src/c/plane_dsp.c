typedef int16_t pr_element;

/* What one channel's 3x3 loop needs; filled from the weight record and the layer. */
typedef struct {
    uint32_t weights[6]; /* rows of (w0, w1), (w1, w2), doubled; for lines 1 << line times as much */
    int32_t bias;        /* likewise */
    int32_t multiplier, offset, shift1;
    int32_t pitch;       /* bytes to the next plane row */
    int32_t out_x, width;
    const int16_t *plane;
    int8_t *out;
    int32_t row, out_y, height;
} pr_dw3;

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
/* r0-r3 sums, r4-r6 values, r7 and r8 weights, r9 plane, r10 out, r11 step, r12 pitch, lr columns left */
#define PR_DW_SCALE(r)                    \
    "add r7, r5, " r ", asr #31\n\t"      \
    "smmlar " r ", " r ", r4, r7\n\t"     \
    "asr " r ", " r ", r6\n\t"            \
    "ssat " r ", #8, " r ", asr #1\n\t"
#define PR_DW_PARAMS                      \
    "ldrd r4, r5, [sp, #28]\n\t"          \
    "ldr r6, [sp, #36]\n\t"
/* For a zero point of -128: results rise along a line, (offset + round(sum * multiplier / 2^32)) >> 6. */
#define PR_DW_LINE(r)                     \
    "smmlar " r ", " r ", r4, r5\n\t"     \
    "ssat " r ", #8, " r ", asr #6\n\t"
#define PR_DW_LINE_PARAMS "ldrd r4, r5, [sp, #28]\n\t"
#define PR_DW_LOOP(row, advance, params, scale)                           \
    "push {r4-r11, lr}\n\t"                                               \
    "sub sp, sp, #76\n\t"                                                 \
    "mov r1, sp\n\t"                                                      \
    "ldm r0!, {r2-r7}\n\t"                                                \
    "stm r1!, {r2-r7}\n\t"                                                \
    "ldm r0!, {r2-r7}\n\t"                                                \
    "stm r1!, {r2-r7}\n\t"                                                \
    "ldm r0!, {r2-r7}\n\t"                                                \
    "stm r1!, {r2-r7}\n\t"                                                \
    "ldr r12, [sp, #40]\n\t"                                              \
    "ldr r11, [sp, #44]\n"                                                \
    "1:\n\t"                                                              \
    "ldr lr, [sp, #48]\n\t"                                               \
    "ldrd r9, r10, [sp, #52]\n"                                           \
    "2:\n\t"                                                              \
    "ldr r0, [sp, #24]\n\t"                                               \
    "mov r1, r0\n\t"                                                      \
    "mov r2, r0\n\t"                                                      \
    "mov r3, r0\n\t" row("0") "add r9, r9, r12\n\t" row("8")              \
    "add r9, r9, r12\n\t" row("16")                                       \
    "sub r9, r9, r12, lsl #1\n\t"                                         \
    "adds r9, r9, " advance "\n\t"                                        \
    params scale("r0") scale("r1") scale("r2") scale("r3")                \
    "strb r0, [r10]\n\t"                                                  \
    "subs lr, lr, #4\n\t"                                                 \
    "blt 4f\n\t"                                                          \
    "strb r1, [r10, r11]\n\t"                                             \
    "add r10, r10, r11, lsl #1\n\t"                                       \
    "strb r2, [r10]\n\t"                                                  \
    "strb r3, [r10, r11]\n\t"                                             \
    "add r10, r10, r11, lsl #1\n\t"                                       \
    "bgt 2b\n"                                                            \
    "3:\n\t"                                                              \
    "ldrd r0, r1, [sp, #52]\n\t"                                          \
    "ldrd r2, r3, [sp, #60]\n\t"                                          \
    "ldr r4, [sp, #68]\n\t"                                               \
    "add r0, r0, r2\n\t"                                                  \
    "add r1, r1, r3\n\t"                                                  \
    "strd r0, r1, [sp, #52]\n\t"                                          \
    "subs r4, r4, #1\n\t"                                                 \
    "str r4, [sp, #68]\n\t"                                               \
    "bne 1b\n\t"                                                          \
    "add sp, sp, #76\n\t"                                                 \
    "pop {r4-r11, pc}\n"                                                  \
    "4:\n\t"                                                              \
    "cmn lr, #3\n\t"                                                      \
    "beq 3b\n\t"                                                          \
    "strb r1, [r10, r11]\n\t"                                             \
    "cmn lr, #2\n\t"                                                      \
    "beq 3b\n\t"                                                          \
    "strb r2, [r10, r11, lsl #1]\n\t"                                     \
    "b 3b"
#define PR_DW_ROW1(at)             \
    "ldm r9, {r4-r6}\n\t"          \
    "ldrd r7, r8, [sp, #" at "]\n\t" \
    "smlad r0, r4, r7, r0\n\t"     \
    "smlatb r1, r4, r7, r1\n\t"    \
    "smlabt r0, r5, r8, r0\n\t"    \
    "smlad r1, r5, r8, r1\n\t"     \
    "smlad r2, r5, r7, r2\n\t"     \
    "smlatb r3, r5, r7, r3\n\t"    \
    "smlabt r2, r6, r8, r2\n\t"    \
    "smlad r3, r6, r8, r3\n\t"
#define PR_DW_ROW2(at)             \
    "ldm r9, {r4-r6}\n\t"          \
    "ldrd r7, r8, [sp, #" at "]\n\t" \
    "smlad r0, r4, r7, r0\n\t"     \
    "smlabt r0, r5, r8, r0\n\t"    \
    "smlad r1, r5, r7, r1\n\t"     \
    "smlabt r1, r6, r8, r1\n\t"    \
    "ldrd r4, r5, [r9, #12]\n\t"   \
    "smlad r2, r6, r7, r2\n\t"     \
    "smlabt r2, r4, r8, r2\n\t"    \
    "smlad r3, r4, r7, r3\n\t"     \
    "smlabt r3, r5, r8, r3\n\t"
#endif
