/* A fully connected layer: eight outputs at a time. */
typedef struct {
    const uint32_t *weights;
    int32_t words; /* input bytes / 4, rounded up */
    int32_t groups;
    int32_t multiplier, shift1, offset; /* offset: (2 * output zero point + 1) << shift1; where the
                                           multiplier shifts left, that shift and the zero point; where
                                           every output has a multiplier, 2 * output zero point + 1 */
} pr_dense;

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_DENSE_OUT(r, before)              \
    "add r9, r12, " r ", asr #31\n\t" before \
    "smmlar " r ", " r ", r10, r9\n\t"       \
    "asr " r ", " r ", r11\n\t"              \
    "ssat " r ", #8, " r ", asr #1\n\t"      \
    "strb " r ", [lr], #1\n\t"
/* For multipliers that shift left: multiplier, left shift, zero point. */
#define PR_DENSE_OUT_LEFT(r, before)         \
    before "lsls " r ", " r ", r11\n\t"      \
    "smmulr " r ", " r ", r10\n\t"           \
    "add " r ", " r ", r12\n\t"              \
    "ssat " r ", #8, " r "\n\t"              \
    "strb " r ", [lr], #1\n\t"
#define PR_DENSE_TWO_LEFT(low, high)         \
    "subs " high ", " high ", " low "\n\t"   \
    PR_DENSE_OUT_LEFT(low, "lsls " low ", " low ", #1\n\t") \
    PR_DENSE_OUT_LEFT(high, "asrs " high ", " high ", #7\n\t")
#define PR_DENSE_TWO(low, high)              \
    "subs " high ", " high ", " low "\n\t"   \
    PR_DENSE_OUT(low, "lsls " low ", " low ", #1\n\t") \
    PR_DENSE_OUT(high, "asrs " high ", " high ", #7\n\t")
#define PR_DENSE_BEGIN(frame)                \
    "push {r4-r11, lr}\n\t"                  \
    "ldm r0, {r3-r8}\n\t"                    \
    "sub sp, sp, #" frame "\n\t"             \
    "strd r1, r4, [sp]\n\t"                  \
    "strd r2, r5, [sp, #8]\n\t"              \
    "strd r6, r8, [sp, #16]\n\t"             \
    "str r7, [sp, #24]\n\t"                  \
    "add r4, r1, r4, lsl #2\n\t"             \
    "str r4, [sp, #28]\n\t"                  \
    "mov r8, r3\n\t"
#define PR_DENSE_END(frame, two)             \
    "ldr r10, [sp, #28]\n\t"                 \
    "cmp r9, r10\n\t"                        \
    "blo 2b\n\t"                             \
    "ldrd r10, r12, [sp, #16]\n\t"           \
    "ldr r11, [sp, #24]\n\t"                 \
    "ldr lr, [sp, #8]\n\t"                   \
    two("r0", "r1") two("r2", "r3") two("r4", "r5") two("r6", "r7") \
    "ldr r9, [sp, #12]\n\t"                  \
    "str lr, [sp, #8]\n\t"                   \
    "subs r9, r9, #1\n\t"                    \
    "str r9, [sp, #12]\n\t"                  \
    "bne 1b\n\t"                             \
    "add sp, sp, #" frame "\n\t"             \
    "pop {r4-r11, pc}"
#define PR_DENSE_UPPER(r) "asrs " r ", " r ", #7\n\t"
#define PR_DENSE_LOWER(r) "lsls " r ", " r ", #1\n\t"
#ifdef PR_LEFT
#define PR_DENSE_TEST(n) "tst r11, #32\n\tbne 1" n "f\n\t"
#define PR_DENSE_BACK(n) "\n2" n ":\n\t"
#define PR_DENSE_LEFT(n, r, from)            \
    "\n1" n ":\n\t"                         \
    "and r12, r11, #31\n\t"                 \
    "ssat " r ", #16, " r from "\n\t"       \
    "lsl " r ", " r ", r12\n\t"             \
    "smmulr " r ", " r ", r10\n\t"          \
    "add " r ", " r ", r9, asr #1\n\t"      \
    "ssat " r ", #8, " r "\n\t"             \
    "b 2" n "b\n\t"
#define PR_DENSE_LEFTS(odd)                  \
    PR_DENSE_LEFT("0", "r0", "") PR_DENSE_LEFT("1", "r1", odd) \
    PR_DENSE_LEFT("2", "r2", "") PR_DENSE_LEFT("3", "r3", odd) \
    PR_DENSE_LEFT("4", "r4", "") PR_DENSE_LEFT("5", "r5", odd) \
    PR_DENSE_LEFT("6", "r6", "") PR_DENSE_LEFT("7", "r7", odd)
#else
#define PR_DENSE_TEST(n)
#define PR_DENSE_BACK(n)
#define PR_DENSE_LEFTS(odd)
#endif
/* With a multiplier for every output: behind the weights of a group come twice four shifts (a byte each) and four
 * multipliers, as pr_mm42 has them. */
#define PR_DENSE_ONE(n, r, before)           \
    "ldr r10, [r8], #4\n\t"                 \
    PR_DENSE_TEST(n)                         \
    "lsl r12, r9, r11\n\t"                  \
    "add r12, r12, " r ", asr #31\n\t"      \
    before(r)                                \
    "smmlar " r ", " r ", r10, r12\n\t"     \
    "asr " r ", " r ", r11\n\t"             \
    "ssat " r ", #8, " r ", asr #1\n\t"     \
    PR_DENSE_BACK(n)                         \
    "lsr r11, r11, #8\n\t"                  \
    "strb " r ", [lr], #1\n\t"
#define PR_DENSE_NO_SPLIT(low, high)
#define PR_DENSE_SPLIT(low, high) "subs " high ", " high ", " low "\n\t"
#define PR_DENSE_FOUR_EACH(a, b, c, d, na, nb, nc, nd, split, odd) \
    "ldr r11, [r8], #4\n\t"                 \
    split(a, b) split(c, d)                  \
    PR_DENSE_ONE(na, a, PR_DENSE_LOWER) PR_DENSE_ONE(nb, b, odd) \
    PR_DENSE_ONE(nc, c, PR_DENSE_LOWER) PR_DENSE_ONE(nd, d, odd)
#define PR_DENSE_END_EACH(frame, split, odd, from) \
    "ldr r10, [sp, #28]\n\t"                \
    "cmp r9, r10\n\t"                       \
    "blo 2b\n\t"                            \
    "ldr r9, [sp, #20]\n\t"                 \
    "ldr lr, [sp, #8]\n\t"                  \
    PR_DENSE_FOUR_EACH("r0", "r1", "r2", "r3", "0", "1", "2", "3", split, odd) \
    PR_DENSE_FOUR_EACH("r4", "r5", "r6", "r7", "4", "5", "6", "7", split, odd) \
    "ldr r9, [sp, #12]\n\t"                 \
    "str lr, [sp, #8]\n\t"                  \
    "subs r9, r9, #1\n\t"                   \
    "str r9, [sp, #12]\n\t"                 \
    "bne 1b\n\t"                            \
    "add sp, sp, #" frame "\n\t"            \
    "pop {r4-r11, pc}\n\t"                  \
    PR_DENSE_LEFTS(from)
#define PR_DENSE_END_EACH_TWO(frame) PR_DENSE_END_EACH(frame, PR_DENSE_SPLIT, PR_DENSE_UPPER, ", asr #8")
#define PR_DENSE_END_EACH_PLAIN(frame) PR_DENSE_END_EACH(frame, PR_DENSE_NO_SPLIT, PR_DENSE_LOWER, "")
#else
static inline int32_t pr_dense_scale(int32_t acc, const pr_dense *c)
{
    int32_t h = pr_mulh(acc, c->multiplier);
    h += (h >> 31) + c->offset;
    return pr_sat8((h >> c->shift1) >> 1);
}
static inline int32_t pr_dense_scale_left(int32_t acc, const pr_dense *c)
{
    return pr_sat8(pr_mulh(acc * (1 << c->shift1), c->multiplier) + c->offset);
}
#endif
