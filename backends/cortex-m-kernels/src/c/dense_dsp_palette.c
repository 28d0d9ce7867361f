/* The same with palette codes: for each two inputs a byte of each output, which names a pair of weights in the
 * table; the stream begins with the palette. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_DENSE_PLAIN(a, b)                 \
    PR_DENSE_OUT(a, "lsls " a ", " a ", #1\n\t") \
    PR_DENSE_OUT(b, "lsls " b ", " b ", #1\n\t")
#define PR_DENSE_PLAIN_LEFT(a, b)            \
    PR_DENSE_OUT_LEFT(a, "lsls " a ", " a ", #1\n\t") \
    PR_DENSE_OUT_LEFT(b, "lsls " b ", " b ", #1\n\t")
#define PR_DENSE_CODE(x, a)                  \
    "ldrb r10, [r8], #1\n\t"                 \
    "ldr r10, [r11, r10, lsl #2]\n\t"        \
    "smlad " a ", " x ", r10, " a "\n\t"
#define PR_DENSE_CODE8(x)                    \
    PR_DENSE_CODE(x, "r0") PR_DENSE_CODE(x, "r1") PR_DENSE_CODE(x, "r2") PR_DENSE_CODE(x, "r3") \
    PR_DENSE_CODE(x, "r4") PR_DENSE_CODE(x, "r5") PR_DENSE_CODE(x, "r6") PR_DENSE_CODE(x, "r7")
#define PR_DENSE_CODED                       \
    "ldr r12, [r9], #4\n\t"                  \
    "sxtb16 lr, r12, ror #8\n\t"             \
    "sxtb16 r12, r12\n\t"                    \
    PR_DENSE_CODE8("r12") PR_DENSE_CODE8("lr")
__attribute__((naked, noinline)) static void pr_dense8_codes(
    const pr_dense *c, const int8_t *in, int8_t *out, const int32_t *table)
{
    (void)c, (void)in, (void)out, (void)table;
    __asm__ volatile(
        "mov r12, r3\n\t"
        PR_DENSE_BEGIN("36")
        "str r12, [sp, #32]\n\t"
        "add r8, r8, #16\n"
        "1:\n\t"
        "ldm r8!, {r0-r7}\n\t"
        "ldrd r9, r12, [sp]\n\t"
        "ldr r11, [sp, #32]\n\t"
        "ands r12, r12, #3\n\t"
        "beq 2f\n\t"
        "cmp r12, #2\n\t"
        "bhi 3f\n\t"
        "beq 4f\n\t"
        "b 5f\n"
        "2:\n\t"
        PR_DENSE_CODED
        "3:\n\t"
        PR_DENSE_CODED
        "4:\n\t"
        PR_DENSE_CODED
        "5:\n\t"
        PR_DENSE_CODED
        PR_DENSE_END("36", PR_DENSE_PLAIN));
}
#else
static void pr_dense8_codes(const pr_dense *c, const int8_t *in, int8_t *out, const int32_t *table)
{
    const uint32_t *stream = c->weights + 4;
    for (int32_t g = 0; g < c->groups; g++) {
        int32_t sum[8];
        for (int32_t i = 0; i < 8; i++) {
            sum[i] = (int32_t)*stream++;
        }
        const uint8_t *codes = (const uint8_t *)stream;
        for (int32_t k = 0; k < 4 * c->words; k += 4) {
            for (int32_t half = 0; half < 2; half++) {
                for (int32_t i = 0; i < 8; i++) {
                    int32_t pair = table[*codes++];
                    sum[i] += in[k + half] * (int16_t)pair + in[k + half + 2] * (pair >> 16);
                }
            }
        }
        stream = (const uint32_t *)codes;
        for (int32_t i = 0; i < 8; i++) {
            *out++ = (int8_t)PR_DENSE_SCALE(sum[i], c);
        }
PR_DENSE_PAST    }
}
#endif

static void pr_dense8_palette(const pr_dense *c, const int8_t *in, int8_t *out, int32_t *scratch)
{
    pr_pairs(scratch, c->weights);
    pr_dense8_codes(c, in, out, scratch);
}
