/* The product with int4 weights. A word of the stream holds two inputs of four channels; each half has, from
 * the lowest bits, channels 0, 2, 1, 3, each as weight + 8. So each half of the word's even nibbles is 256 * w[1] + w[0] as
 * pr_mm42 has it, and that of its odd nibbles the same of channels 2 and 3. 8 times the sum of a pixel's
 * inputs is taken off beforehand. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_MM_NIBBLES                   \
    "ldrd r12, lr, [r9], #8\n\t"        \
    "ldr r10, [r8], #4\n\t"             \
    "and r11, r10, #0x0f0f0f0f\n\t"     \
    "lsr r10, r10, #4\n\t"              \
    "smlad r1, r12, r11, r1\n\t"        \
    "smlad r5, lr, r11, r5\n\t"         \
    "uxtb16 r11, r11\n\t"               \
    "and r10, r10, #0x0f0f0f0f\n\t"     \
    "smlad r0, r12, r11, r0\n\t"        \
    "smlad r4, lr, r11, r4\n\t"         \
    "smlad r3, r12, r10, r3\n\t"        \
    "smlad r7, lr, r10, r7\n\t"         \
    "uxtb16 r10, r10\n\t"               \
    "smlad r2, r12, r10, r2\n\t"        \
    "smlad r6, lr, r10, r6\n\t"
__attribute__((naked, noinline)) static void pr_mm42_nibbles(
    const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    (void)columns, (void)stream, (void)out, (void)m;
    __asm__ volatile(
        PR_MM_BEGIN("36")
        "movs r4, #0\n\t"
        "movs r5, #0\n\t"
        "mov r3, #0x00010001\n"
        "1:\n\t"
        "ldrd r6, r7, [r0], #8\n\t"
        "ldrd r10, r11, [r0], #8\n\t"
        "smlad r4, r6, r3, r4\n\t"
        "smlad r5, r7, r3, r5\n\t"
        "cmp r0, r12\n\t"
        "smlad r4, r10, r3, r4\n\t"
        "smlad r5, r11, r3, r5\n\t"
        "blo 1b\n\t"
        "lsl r4, r4, #3\n\t"
        "lsl r5, r5, #3\n\t"
        "strd r4, r5, [sp, #24]\n"
        "1:\n\t"
        "ldm r8!, {r0-r3}\n\t"
        "ldrd r10, r11, [sp, #24]\n\t"
        "ldrd r9, r12, [sp]\n\t"
        "sub r4, r0, r11\n\t"
        "sub r0, r0, r10\n\t"
        "sub r6, r2, r11\n\t"
        "sub r2, r2, r10\n\t"
        "add r11, r11, r11, lsl #8\n\t"
        "add r10, r10, r10, lsl #8\n\t"
        "sub r5, r1, r11\n\t"
        "sub r1, r1, r10\n\t"
        "sub r7, r3, r11\n\t"
        "sub r3, r3, r10\n\t"
        "sub r12, r12, r9\n\t"
        "tst r12, #16\n\t"
        "bne 3f\n"
        "2:\n\t"
        PR_MM_NIBBLES PR_MM_NIBBLES
        "3:\n\t"
        PR_MM_NIBBLES PR_MM_NIBBLES
        "ldr r10, [sp, #4]\n\t"
        "cmp r9, r10\n\t"
        "blo 2b\n\t"
        PR_MM_END("36", PR_MM_SPLIT, PR_MM_UPPER, PR_SCALE_FIRST, PR_SCALE));
}
#else
static void pr_mm42_nibbles(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    const int16_t *columns16 = (const int16_t *)columns;
    for (int32_t g = 0; g < m->groups; g++) {
        int32_t sums[2][4];
        for (int32_t i = 0; i < 4; i++) {
            uint32_t low = stream[i & 2], bias = stream[i];
            sums[0][i] = sums[1][i] = (i & 1) ? (int32_t)(bias - low) >> 8 : (int32_t)bias;
        }
        stream += 4;
        for (int32_t k = 0; k < m->bytes / 2; k += 4) {
            uint32_t word = *stream++;
            for (int32_t i = 0; i < 4; i++) {
                int32_t at = (i & 1) * 8 + (i & 2) * 2;
                int32_t w = (int32_t)(word >> at & 15) - 8, w2 = (int32_t)(word >> (at + 16) & 15) - 8;
                for (int32_t p = 0; p < 2; p++) {
                    sums[p][i] += columns16[k + 2 * p] * w + columns16[k + 2 * p + 1] * w2;
                }
            }
        }
        stream = pr_mm_end(stream, sums, &out, m);
    }
}
#endif
