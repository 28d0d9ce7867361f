/* A group of the stream holds 8 biases, then for each four inputs 8 words as pr_mm42 has them (four for inputs
 * 0 and 2, four for 1 and 3). */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_DENSE_PAIR(x, low, high, w)       \
    "smlad " high ", " x ", " w ", " high "\n\t" \
    "sxtb16 " w ", " w "\n\t"                \
    "smlad " low ", " x ", " w ", " low "\n\t"
#define PR_DENSE_FOUR(x)                     \
    "ldrd r10, r11, [r8], #8\n\t"            \
    PR_DENSE_PAIR(x, "r0", "r1", "r10") PR_DENSE_PAIR(x, "r2", "r3", "r11") \
    "ldrd r10, r11, [r8], #8\n\t"            \
    PR_DENSE_PAIR(x, "r4", "r5", "r10") PR_DENSE_PAIR(x, "r6", "r7", "r11")
#define PR_DENSE_WORD                        \
    "ldr r12, [r9], #4\n\t"                  \
    "sxtb16 lr, r12, ror #8\n\t"             \
    "sxtb16 r12, r12\n\t"                    \
    PR_DENSE_FOUR("r12") PR_DENSE_FOUR("lr")
__attribute__((naked, noinline)) static void pr_dense8(const pr_dense *c, const int8_t *in, int8_t *out)
{
    (void)c, (void)in, (void)out;
    __asm__ volatile(
        PR_DENSE_BEGIN("36")
        "1:\n\t"
        "ldm r8!, {r0-r7}\n\t"
        "ldrd r9, r12, [sp]\n\t"
        "tst r12, #1\n\t"
        "bne 3f\n"
        "2:\n\t"
        PR_DENSE_WORD
        "3:\n\t"
        PR_DENSE_WORD
        PR_DENSE_END("36", PR_DENSE_TWO));
}
#else
static void pr_dense8(const pr_dense *c, const int8_t *in, int8_t *out)
{
    const uint32_t *stream = c->weights;
    for (int32_t g = 0; g < c->groups; g++) {
        uint32_t sum[8];
        for (int32_t i = 0; i < 8; i++) {
            sum[i] = *stream++;
        }
        for (int32_t k = 0; k < 4 * c->words; k += 4) {
            for (int32_t half = 0; half < 2; half++) {
                int32_t x = in[k + half], x2 = in[k + half + 2];
                for (int32_t i = 0; i < 8; i += 2) {
                    uint32_t w = *stream++;
                    sum[i] += (uint32_t)(x * (int8_t)w + x2 * (int8_t)(w >> 16));
                    sum[i + 1] += (uint32_t)(x * (int16_t)w + x2 * (int16_t)(w >> 16));
                }
            }
        }
        for (int32_t i = 0; i < 8; i++) {
            int32_t acc = (i & 1) ? (int32_t)(sum[i] - sum[i - 1]) >> 8 : (int32_t)sum[i];
            *out++ = (int8_t)PR_DENSE_SCALE(acc, c);
        }
PR_DENSE_PAST    }
}
#endif
