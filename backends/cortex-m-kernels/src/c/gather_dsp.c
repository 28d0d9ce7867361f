/* Widens n values that are step bytes apart. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
__attribute__((naked, noinline)) static void pr_gather(int16_t *to, const int8_t *from, int32_t step, int32_t n)
{
    (void)to, (void)from, (void)step, (void)n;
    __asm__ volatile(
        "subs r3, r3, #4\n\t"
        "blt 2f\n\t"
        "push {r4-r6}\n"
        "1:\n\t"
        "ldrsb r4, [r1]\n\t"
        "ldrsb r5, [r1, r2]\n\t"
        "add r1, r1, r2, lsl #1\n\t"
        "ldrsb r6, [r1]\n\t"
        "ldrsb r12, [r1, r2]\n\t"
        "add r1, r1, r2, lsl #1\n\t"
        "pkhbt r4, r4, r5, lsl #16\n\t"
        "pkhbt r5, r6, r12, lsl #16\n\t"
        "str r4, [r0], #4\n\t"
        "str r5, [r0], #4\n\t"
        "subs r3, r3, #4\n\t"
        "bge 1b\n\t"
        "pop {r4-r6}\n"
        "2:\n\t"
        "adds r3, r3, #4\n\t"
        "beq 4f\n"
        "3:\n\t"
        "ldrsb r12, [r1]\n\t"
        "add r1, r1, r2\n\t"
        "strh r12, [r0], #2\n\t"
        "subs r3, r3, #1\n\t"
        "bne 3b\n"
        "4:\n\t"
        "bx lr");
}
#else
static void pr_gather(int16_t *to, const int8_t *from, int32_t step, int32_t n)
{
    for (; n > 0; n--, from += step) {
        *to++ = *from;
    }
}
#endif
#define PR_GATHER pr_gather
