/* The product with the blocks of four inputs by four channels that are not zero: a word, the bytes of columns
 * left out before this one, then its weights as pr_mm42 has them; -1 ends a group. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
__attribute__((naked, noinline)) static void pr_mm42_sparse(
    const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    (void)columns, (void)stream, (void)out, (void)m;
    __asm__ volatile(
        PR_MM_BEGIN("24")
        "1:\n\t"
        "ldm r8!, {r0-r3}\n\t"
        "ldr r9, [sp]\n\t"
        "mov r4, r0\n\t"
        "mov r5, r1\n\t"
        "mov r6, r2\n\t"
        "mov r7, r3\n\t"
        "b 3f\n"
        "2:\n\t"
        "add r9, r9, r10\n\t"
        PR_MM_PACKED PR_MM_PACKED
        "3:\n\t"
        "ldr r10, [r8], #4\n\t"
        "cmp r10, #0\n\t"
        "bge 2b\n\t"
        PR_MM_END("24", PR_MM_SPLIT, PR_MM_UPPER, PR_SCALE_FIRST, PR_SCALE));
}
#else
static void pr_mm42_sparse(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    for (int32_t g = 0; g < m->groups; g++) {
        int32_t sums[2][4];
        for (int32_t i = 0; i < 4; i++) {
            uint32_t low = stream[i & 2], bias = stream[i];
            sums[0][i] = sums[1][i] = (i & 1) ? (int32_t)(bias - low) >> 8 : (int32_t)bias;
        }
        stream += 4;
        const int16_t *x = (const int16_t *)columns;
        for (; (int32_t)*stream >= 0; x += 8) {
            x += *stream++ / 2;
            for (int32_t half = 0; half < 8; half += 4) {
                for (int32_t pair = 0; pair < 4; pair += 2) {
                    uint32_t w = *stream++;
                    int32_t low = (int8_t)w, low2 = (int8_t)(w >> 16);
                    int32_t high = ((int16_t)w - low) / 256, high2 = ((int16_t)(w >> 16) - low2) / 256;
                    for (int32_t p = 0; p < 2; p++) {
                        int32_t a = x[half + 2 * p], b = x[half + 2 * p + 1];
                        sums[p][pair] += a * low + b * low2;
                        sums[p][pair + 1] += a * high + b * high2;
                    }
                }
            }
        }
        stream = pr_mm_end(stream + 1, sums, &out, m);
    }
}
#endif
