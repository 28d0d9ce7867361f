/* The same with int4 weights as pr_mm42_nibbles has them: for each two inputs a word of the first four outputs
 * and one of the last four. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_DENSE_NIBBLES(x, a, a1, b, b1)    \
    "ldr r10, [r8], #4\n\t"                  \
    "and r11, r10, #0x0f0f0f0f\n\t"          \
    "lsr r10, r10, #4\n\t"                   \
    "smlad " a1 ", " x ", r11, " a1 "\n\t"   \
    "uxtb16 r11, r11\n\t"                    \
    "and r10, r10, #0x0f0f0f0f\n\t"          \
    "smlad " a ", " x ", r11, " a "\n\t"     \
    "smlad " b1 ", " x ", r10, " b1 "\n\t"   \
    "uxtb16 r10, r10\n\t"                    \
    "smlad " b ", " x ", r10, " b "\n\t"
#define PR_DENSE_NIBBLES8(x)                 \
    PR_DENSE_NIBBLES(x, "r0", "r1", "r2", "r3") PR_DENSE_NIBBLES(x, "r4", "r5", "r6", "r7")
__attribute__((naked, noinline)) static void pr_dense8_nibbles(const pr_dense *c, const int8_t *in, int8_t *out)
{
    (void)c, (void)in, (void)out;
    __asm__ volatile(
        PR_DENSE_BEGIN("44")
        "movs r0, #0\n\t"
        "mov r2, #0x00010001\n"
        "1:\n\t"
        "ldr r5, [r1], #4\n\t"
        "cmp r1, r4\n\t"
        "sxtb16 r6, r5\n\t"
        "sxtb16 r5, r5, ror #8\n\t"
        "smlad r0, r6, r2, r0\n\t"
        "smlad r0, r5, r2, r0\n\t"
        "blo 1b\n\t"
        "lsl r0, r0, #3\n\t"
        "add r2, r0, r0, lsl #8\n\t"
        "strd r0, r2, [sp, #32]\n"
        "1:\n\t"
        "ldm r8!, {r0-r7}\n\t"
        "ldrd r10, r11, [sp, #32]\n\t"
        "ldr r9, [sp]\n\t"
        "sub r0, r0, r10\n\t"
        "sub r1, r1, r11\n\t"
        "sub r2, r2, r10\n\t"
        "sub r3, r3, r11\n\t"
        "sub r4, r4, r10\n\t"
        "sub r5, r5, r11\n\t"
        "sub r6, r6, r10\n\t"
        "sub r7, r7, r11\n"
        "2:\n\t"
        "ldr r12, [r9], #4\n\t"
        "sxtb16 lr, r12, ror #8\n\t"
        "sxtb16 r12, r12\n\t"
        PR_DENSE_NIBBLES8("r12")
        PR_DENSE_NIBBLES8("lr")
        PR_DENSE_END("44", PR_DENSE_TWO));
}
#else
static void pr_dense8_nibbles(const pr_dense *c, const int8_t *in, int8_t *out)
{
    const uint32_t *stream = c->weights;
    for (int32_t g = 0; g < c->groups; g++) {
        int32_t sum[8];
        for (int32_t i = 0; i < 8; i++) {
            sum[i] = (i & 1) ? (int32_t)(stream[i] - stream[i - 1]) >> 8 : (int32_t)stream[i];
        }
        stream += 8;
        for (int32_t k = 0; k < 4 * c->words; k += 4) {
            for (int32_t half = 0; half < 2; half++) {
                for (int32_t i = 0; i < 8; i++) {
                    int32_t at = (i & 1) * 8 + (i & 2) * 2;
                    uint32_t word = stream[i / 4];
                    int32_t w = (int32_t)(word >> at & 15) - 8, w2 = (int32_t)(word >> (at + 16) & 15) - 8;
                    sum[i] += in[k + half] * w + in[k + half + 2] * w2;
                }
                stream += 2;
            }
        }
        for (int32_t i = 0; i < 8; i++) {
            *out++ = (int8_t)PR_DENSE_SCALE(sum[i], c);
        }
PR_DENSE_PAST    }
}
#endif
