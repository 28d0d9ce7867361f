/* The product with the blocks of four inputs by four channels that are not zero: a byte, how many blocks were
 * left out before this one, then its 8 codes; 255 ends a group, and the rest is aligned to 4. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
__attribute__((naked, noinline)) static void pr_mm42_sparse_palette(
    const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    (void)columns, (void)stream, (void)out, (void)m;
    __asm__ volatile(PR_MM_CODED(
        "b 3f\n"
        "2:\n\t"
        "add r9, r9, r10, lsl #4\n\t",
        "3:\n\t"
        "ldrb r10, [r8], #1\n\t"
        "cmp r10, #255\n\t"
        "bne 2b\n\t"
        "add r8, r8, #3\n\t"
        "bic r8, r8, #3\n\t"));
}
#else
static void pr_mm42_sparse_palette(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    const int32_t *table = columns - 256;
    for (int32_t g = 0; g < m->groups; g++) {
        int32_t sums[2][4];
        for (int32_t i = 0; i < 4; i++) {
            sums[0][i] = sums[1][i] = (int32_t)*stream++;
        }
        const uint8_t *codes = (const uint8_t *)stream;
        const int16_t *x = (const int16_t *)columns;
        while (*codes != 255) {
            x += 8 * *codes++;
            pr_mm_codes(table, codes, x, sums);
            pr_mm_codes(table, codes + 4, x + 4, sums);
            codes += 8;
            x += 8;
        }
        int32_t bytes = (int32_t)(codes + 1 - (const uint8_t *)stream);
        stream = pr_mm_end(stream + (bytes + 3) / 4, sums, &out, m);
    }
}
#endif
