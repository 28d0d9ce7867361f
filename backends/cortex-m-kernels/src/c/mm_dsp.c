/* Two pixels by all output channels, four channels at a time. A group of the weight stream holds
 *   4 words of bias, bytes / 4 words of weights, shifts - 1 (a byte each), 4 multipliers.
 * The halves of a weight word belong to two inputs; a half is 256 * w[1] + w[0] of two neighbouring
 * channels. SMLAD on the word as it is sums 256 * s[1] + s[0], SMLAD on its sign-extended low bytes
 * sums s[0], so one SXTB16 serves four weights; s[1] is their difference over 256, exact while it
 * fits 24 bits. The top two bits of the shifts say how many channels the last group steps back to end
 * with the last channel.
 *
 * Requantization, with 2^32 * (2 * acc * multiplier / 2^32, rounded) in one SMMLAR: ties of the shift go away from
 * zero by taking 1 from negative numbers, and the sum's sign may stand for the product's, as a
 * product of 0 gives 0 either way. With bit 5 of its shift set a channel's multiplier is a half or more: that
 * shift plus 1 goes left, beforehand; 16 bits of the sum are enough, as what is cut off saturates.
 *
 * r0-r3 and r4-r7 are the sums of both pixels. Last on the stack is the entry of the unrolled loop (a step is
 * 8 bytes of columns and 48 of code). */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_SCALE_FIRST(r, before)            \
    before "smmulr " r ", " r ", r11\n\t"    \
    "add " r ", " r ", " r ", asr #31\n\t"   \
    "add " r ", " r ", r12\n\t"              \
    "asr " r ", " r ", r10\n\t"              \
    "ssat " r ", #8, " r ", asr #1\n\t"
#define PR_SCALE(r, before)                  \
    "add r4, r12, " r ", asr #31\n\t" before \
    "smmlar " r ", " r ", r11, r4\n\t"       \
    "asr " r ", " r ", r10\n\t"              \
    "ssat " r ", #8, " r ", asr #1\n\t"
/* The frame: columns, their end, out, groups, stride - 1, zero; r8 is the stream. */
#define PR_MM_BEGIN(frame)              \
    "push {r4-r11, lr}\n\t"             \
    "ldm r3, {r4-r7}\n\t"               \
    "sub sp, sp, #" frame "\n\t"        \
    "mov r8, r1\n\t"                    \
    "subs r6, r6, #1\n\t"               \
    "add r12, r0, r4\n\t"               \
    "strd r0, r12, [sp]\n\t"            \
    "strd r2, r5, [sp, #8]\n\t"         \
    "strd r6, r7, [sp, #16]\n\t"
/* One word of columns by two words of weights: two inputs of four channels. */
#define PR_MM_PACKED                    \
    "ldrd r12, lr, [r9], #8\n\t"        \
    "ldrd r10, r11, [r8], #8\n\t"       \
    "smlad r1, r12, r10, r1\n\t"        \
    "smlad r5, lr, r10, r5\n\t"         \
    "sxtb16 r10, r10\n\t"               \
    "smlad r3, r12, r11, r3\n\t"        \
    "smlad r7, lr, r11, r7\n\t"         \
    "sxtb16 r11, r11\n\t"               \
    "smlad r0, r12, r10, r0\n\t"        \
    "smlad r4, lr, r10, r4\n\t"         \
    "smlad r2, r12, r11, r2\n\t"        \
    "smlad r6, lr, r11, r6\n\t"
#define PR_MM_SPLIT                     \
    "subs r1, r1, r0\n\t"               \
    "subs r5, r5, r4\n\t"               \
    "subs r3, r3, r2\n\t"               \
    "subs r7, r7, r6\n\t"
#define PR_MM_UPPER(r) "asrs " r ", " r ", #7\n\t"
#define PR_MM_LOWER(r) "lsls " r ", " r ", #1\n\t"
#ifdef PR_LEFT
/* Channels whose shift has bit 5 set leave the line here and come back behind their scaling. */
#define PR_MM_TEST(n) "tst r10, #32\n\tbne 1" n "f\n\t"
#define PR_MM_BACK(n) "\n2" n ":\n\t"
#define PR_MM_UPPER_LEFT(r) "ssat " r ", #16, " r ", asr #8\n\t"
#define PR_MM_LOWER_LEFT(r) "ssat " r ", #16, " r "\n\t"
#define PR_SCALE_LEFT(r, before)             \
    before "lsl " r ", " r ", r12\n\t"      \
    "smmulr " r ", " r ", r11\n\t"          \
    "add " r ", " r ", lr, asr #1\n\t"      \
    "ssat " r ", #8, " r "\n\t"
#define PR_MM_LEFT(n, a, b, before)          \
    "\n1" n ":\n\t"                         \
    "and r12, r10, #31\n\t"                 \
    PR_SCALE_LEFT(a, before(a)) PR_SCALE_LEFT(b, before(b)) \
    "b 2" n "b\n\t"
#define PR_MM_LEFTS(odd)                     \
    PR_MM_LEFT("0", "r0", "r4", PR_MM_LOWER_LEFT) PR_MM_LEFT("1", "r1", "r5", odd) \
    PR_MM_LEFT("2", "r2", "r6", PR_MM_LOWER_LEFT) PR_MM_LEFT("3", "r3", "r7", odd)
#else
#define PR_MM_TEST(n)
#define PR_MM_BACK(n)
#define PR_MM_LEFTS(odd)
#endif
#define PR_MM_CHANNEL(n, a, b, before, scale) \
    "ldr r11, [r8], #4\n\t"            \
    PR_MM_TEST(n)                       \
    "lsl r12, lr, r10\n\t"             \
    scale(a, before(a))                 \
    scale(b, before(b))                 \
    PR_MM_BACK(n)                       \
    "strb " a ", [r9], #1\n\t"
#define PR_MM_END(frame, split, odd, scale0, scale) \
    "ldr r10, [r8], #4\n\t"            \
    "ldr r9, [sp, #8]\n\t"             \
    "ldr lr, [sp, #20]\n\t"            \
    "sub r9, r9, r10, lsr #30\n\t"     \
    split                               \
    PR_MM_CHANNEL("0", "r0", "r4", PR_MM_LOWER, scale0) \
    "ldr r0, [sp, #16]\n\t"            \
    "strb r4, [r9, r0]\n\t"            \
    "lsr r10, r10, #8\n\t"             \
    PR_MM_CHANNEL("1", "r1", "r5", odd, scale) \
    "strb r5, [r9, r0]\n\t"            \
    "lsr r10, r10, #8\n\t"             \
    PR_MM_CHANNEL("2", "r2", "r6", PR_MM_LOWER, scale) \
    "strb r6, [r9, r0]\n\t"            \
    "ubfx r10, r10, #8, #6\n\t"        \
    PR_MM_CHANNEL("3", "r3", "r7", odd, scale) \
    "strb r7, [r9, r0]\n\t"            \
    "ldr r10, [sp, #12]\n\t"           \
    "str r9, [sp, #8]\n\t"             \
    "subs r10, r10, #1\n\t"            \
    "str r10, [sp, #12]\n\t"           \
    "bne 1b\n\t"                       \
    "add sp, sp, #" frame "\n\t"       \
    "pop {r4-r11, pc}\n\t"             \
    PR_MM_LEFTS(odd##_LEFT)
#define PR_MM42(scale0, scale)          \
    PR_MM_BEGIN("28")                   \
    "rsbs r4, r4, #0\n\t"               \
    "and r4, r4, #63\n\t"               \
    "add r4, r4, r4, lsl #1\n\t"        \
    "adr r3, 2f\n\t"                    \
    "add r3, r3, r4, lsl #1\n\t"        \
    "orr r3, r3, #1\n\t"                \
    "str r3, [sp, #24]\n"               \
    "1:\n\t"                            \
    "ldm r8!, {r0-r3}\n\t"              \
    "ldr r9, [sp]\n\t"                  \
    "ldr r10, [sp, #24]\n\t"            \
    "mov r4, r0\n\t"                    \
    "mov r5, r1\n\t"                    \
    "mov r6, r2\n\t"                    \
    "mov r7, r3\n\t"                    \
    "bx r10\n\t"                        \
    ".balign 4\n"                       \
    "2:\n\t"                            \
    ".rept 8\n\t"                       \
    PR_MM_PACKED                        \
    ".endr\n\t"                         \
    "ldr r10, [sp, #4]\n\t"             \
    "cmp r9, r10\n\t"                   \
    "blo 2b\n\t"                        \
    PR_MM_END("28", PR_MM_SPLIT, PR_MM_UPPER, scale0, scale)
#else
/* The sums of a group; the stream past its weights. */
static inline const uint32_t *pr_mm_sums(const int32_t *columns, const uint32_t *stream, int32_t bytes, int32_t sums[2][4])
{
    uint32_t sum[2][4];
    for (int32_t i = 0; i < 4; i++) {
        sum[0][i] = sum[1][i] = *stream++;
    }
    const int16_t *x = (const int16_t *)columns;
    for (int32_t left = bytes; left > 0; left -= 8, x += 4) {
        for (int32_t pair = 0; pair < 4; pair += 2) {
            uint32_t w = *stream++;
            int32_t low = (int8_t)w, low2 = (int8_t)(w >> 16);
            int32_t both = (int16_t)w, both2 = (int16_t)(w >> 16);
            for (int32_t p = 0; p < 2; p++) {
                sum[p][pair] += (uint32_t)(x[2 * p] * low + x[2 * p + 1] * low2);
                sum[p][pair + 1] += (uint32_t)(x[2 * p] * both + x[2 * p + 1] * both2);
            }
        }
    }
    for (int32_t i = 0; i < 4; i++) {
        for (int32_t p = 0; p < 2; p++) {
            int32_t acc = (int32_t)((i & 1) ? sum[p][i] - sum[p][i - 1] : sum[p][i]);
            sums[p][i] = (i & 1) ? acc >> 8 : acc;
        }
    }
    return stream;
}

static inline void pr_mm42(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    for (int32_t g = 0; g < m->groups; g++) {
        int32_t sums[2][4];
        stream = pr_mm_sums(columns, stream, m->bytes, sums);
        uint32_t shifts = *stream++;
        out -= shifts >> 30;
        for (int32_t i = 0; i < 4; i++, shifts >>= 8) {
            int32_t multiplier = (int32_t)*stream++;
            for (int32_t p = 0; p < 2; p++) {
                out[p * m->stride + i] = (int8_t)PR_REQUANT(sums[p][i], multiplier, shifts & 63, m->zero);
            }
        }
        out += 4;
    }
}
#endif
