/* What one channel's loop over wider windows needs. */
typedef struct {
    int32_t bias;                    /* doubled */
    int32_t multiplier, offset, shift1;
    int32_t pitch;                   /* bytes to the next plane row */
    const uint32_t *end;             /* of the weights */
    const uint32_t *weights;         /* row by row, doubled: pairs as PR_DW_ROWxx wants them */
    int32_t out_x, width;
    const int16_t *plane;
    int8_t *out;
    int32_t row, out_y, height;
} pr_dw_wide;

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
/* Four outputs at a time, window row by window row: r0-r3 sums, r9 plane, r12 weights, the rest values and weights.
 * On the stack the record and, from 56 on, the outputs left in the row, plane and out. */
#define PR_DW_WIDE(row, advance)                                          \
    "push {r4-r11, lr}\n\t"                                               \
    "sub sp, sp, #76\n\t"                                                 \
    "mov r1, sp\n\t"                                                      \
    "ldm r0!, {r2-r8}\n\t"                                                \
    "stm r1!, {r2-r8}\n\t"                                                \
    "ldm r0!, {r2-r8}\n\t"                                                \
    "stm r1!, {r2-r8}\n"                                                  \
    "1:\n\t"                                                              \
    "ldr lr, [sp, #32]\n\t"                                               \
    "ldrd r9, r10, [sp, #36]\n"                                           \
    "2:\n\t"                                                              \
    "str lr, [sp, #56]\n\t"                                               \
    "strd r9, r10, [sp, #60]\n\t"                                         \
    "ldr r12, [sp, #24]\n\t"                                              \
    "ldr r0, [sp]\n\t"                                                    \
    "mov r1, r0\n\t"                                                      \
    "mov r2, r0\n\t"                                                      \
    "mov r3, r0\n"                                                        \
    "5:\n\t" row                                                          \
    "ldrd r4, r5, [sp, #16]\n\t"                                          \
    "add r9, r9, r4\n\t"                                                  \
    "cmp r12, r5\n\t"                                                     \
    "bne 5b\n\t"                                                          \
    "ldrd r4, r5, [sp, #4]\n\t"                                           \
    "ldr r6, [sp, #12]\n\t" PR_DW_SCALE("r0") PR_DW_SCALE("r1")           \
    PR_DW_SCALE("r2") PR_DW_SCALE("r3")                                   \
    "ldr lr, [sp, #56]\n\t"                                               \
    "ldrd r9, r10, [sp, #60]\n\t"                                         \
    "ldr r11, [sp, #28]\n\t"                                              \
    "add r9, r9, " advance "\n\t"                                         \
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
    "ldrd r0, r1, [sp, #36]\n\t"                                          \
    "ldrd r2, r3, [sp, #44]\n\t"                                          \
    "ldr r4, [sp, #52]\n\t"                                               \
    "add r0, r0, r2\n\t"                                                  \
    "add r1, r1, r3\n\t"                                                  \
    "strd r0, r1, [sp, #36]\n\t"                                          \
    "subs r4, r4, #1\n\t"                                                 \
    "str r4, [sp, #52]\n\t"                                               \
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
#endif
