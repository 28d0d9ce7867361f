/* The product with palette codes: for each four inputs 8 bytes, four channels of inputs 0 and 2, then of
 * 1 and 3. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
__attribute__((naked, noinline)) static void pr_mm42_palette(
    const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    (void)columns, (void)stream, (void)out, (void)m;
    __asm__ volatile(PR_MM_CODED("2:\n\t", "ldr r10, [sp, #4]\n\tcmp r9, r10\n\tblo 2b\n\t"));
}
#else
static void pr_mm42_palette(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    const int32_t *table = columns - 256;
    for (int32_t g = 0; g < m->groups; g++) {
        int32_t sums[2][4];
        for (int32_t i = 0; i < 4; i++) {
            sums[0][i] = sums[1][i] = (int32_t)*stream++;
        }
        const uint8_t *codes = (const uint8_t *)stream;
        const int16_t *x = (const int16_t *)columns;
        for (int32_t left = m->bytes; left > 0; left -= 8, x += 4) {
            pr_mm_codes(table, codes, x, sums);
            codes += 4;
        }
        stream = pr_mm_end((const uint32_t *)codes, sums, &out, m);
    }
}
#endif
