/* For a zero point of -128: results rise along a line, (zero + offset + round(sum * multiplier / 2^32)) >> 4, so
 * that a group of the stream ends with
 *   2 offsets, 2 multipliers, 2 offsets, 2 multipliers.
 * The lowest two bits of the last multiplier say how many channels the last group steps back. The second pixel's
 * sums begin with the first step, which stands before the loop. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_LINE(r)                         \
    "smmlar " r ", " r ", r10, r12\n\t"    \
    "ssat " r ", #8, " r ", asr #4\n\t"
#define PR_LINE_UPPER(r)                   \
    "asrs " r ", " r ", #8\n\t"            \
    "smmlar " r ", " r ", r11, r12\n\t"    \
    "ssat " r ", #8, " r ", asr #4\n\t"
__attribute__((naked, noinline)) static void pr_mm42_relu(
    const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    (void)columns, (void)stream, (void)out, (void)m;
    __asm__ volatile(
        PR_MM_BEGIN("28")
        "rsbs r4, r4, #8\n\t"
        "and r4, r4, #63\n\t"
        "add r4, r4, r4, lsl #1\n\t"
        "adr r3, 2f\n\t"
        "add r3, r3, r4, lsl #1\n\t"
        "orr r3, r3, #1\n\t"
        "str r3, [sp, #24]\n"
        "1:\n\t"
        "ldm r8!, {r0-r3}\n\t"
        "ldr r9, [sp]\n\t"
        "ldrd r12, lr, [r9], #8\n\t"
        "ldrd r10, r11, [r8], #8\n\t"
        "smlad r5, lr, r10, r1\n\t"
        "smlad r1, r12, r10, r1\n\t"
        "sxtb16 r10, r10\n\t"
        "smlad r7, lr, r11, r3\n\t"
        "smlad r3, r12, r11, r3\n\t"
        "sxtb16 r11, r11\n\t"
        "smlad r4, lr, r10, r0\n\t"
        "smlad r0, r12, r10, r0\n\t"
        "smlad r6, lr, r11, r2\n\t"
        "smlad r2, r12, r11, r2\n\t"
        "ldr pc, [sp, #24]\n\t"
        ".balign 4\n"
        "2:\n\t"
        ".rept 8\n\t"
        PR_MM_PACKED
        ".endr\n\t"
        "ldr r10, [sp, #4]\n\t"
        "cmp r9, r10\n\t"
        "blo 2b\n\t"
        "ldm r8!, {r9, r10, r11}\n\t"
        "ldr lr, [sp, #20]\n\t"
        PR_MM_SPLIT
        "uxtah r12, lr, r9\n\t"
        PR_LINE("r0")
        PR_LINE("r4")
        "uxtah r12, lr, r9, ror #16\n\t"
        PR_LINE_UPPER("r1")
        PR_LINE_UPPER("r5")
        "ldm r8!, {r9, r10, r11}\n\t"
        "uxtah r12, lr, r9\n\t"
        PR_LINE("r2")
        PR_LINE("r6")
        "uxtah r12, lr, r9, ror #16\n\t"
        PR_LINE_UPPER("r3")
        PR_LINE_UPPER("r7")
        "ldr r9, [sp, #8]\n\t"
        "ldr r10, [sp, #12]\n\t"
        "ldr r12, [sp, #16]\n\t"
        "and r11, r11, #3\n\t"
        "sub r9, r9, r11\n\t"
        "subs r10, r10, #1\n\t"
        "strb r0, [r9], #1\n\t"
        "strb r4, [r9, r12]\n\t"
        "strb r1, [r9], #1\n\t"
        "strb r5, [r9, r12]\n\t"
        "strb r2, [r9], #1\n\t"
        "strb r6, [r9, r12]\n\t"
        "strb r3, [r9], #1\n\t"
        "strb r7, [r9, r12]\n\t"
        "str r9, [sp, #8]\n\t"
        "str r10, [sp, #12]\n\t"
        "bne 1b\n\t"
        "add sp, sp, #28\n\t"
        "pop {r4-r11, pc}");
}
#else
static inline void pr_mm42_relu(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    for (int32_t g = 0; g < m->groups; g++) {
        int32_t sums[2][4];
        stream = pr_mm_sums(columns, stream, m->bytes, sums);
        out -= stream[5] & 3;
        for (int32_t i = 0; i < 4; i++) {
            const uint32_t *two = stream + i / 2 * 3;
            int32_t offset = m->zero + (int32_t)(two[0] >> 16 * (i & 1) & 0xffff);
            for (int32_t p = 0; p < 2; p++) {
                int64_t product = (int64_t)sums[p][i] * (int32_t)two[1 + (i & 1)];
                int32_t high = (int32_t)((product + ((int64_t)1 << 31)) >> 32);
                out[p * m->stride + i] = (int8_t)pr_sat8((high + offset) >> 4);
            }
        }
        out += 4;
        stream += 6;
    }
}
#endif
