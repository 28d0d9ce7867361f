/* Widens rows of n values that are step bytes apart; rows are line bytes apart, their places pitch. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
__attribute__((naked, noinline)) static void pr_gather(
    int16_t *to, const int8_t *from, int32_t step, int32_t n, int32_t rows, int32_t pitch, int32_t line)
{
    (void)to, (void)from, (void)step, (void)n, (void)rows, (void)pitch, (void)line;
    __asm__ volatile(
        "push {r4-r11}\n\t"
        "ldrd r7, r8, [sp, #32]\n\t"
        "ldr r9, [sp, #40]\n\t"
        "add r10, r2, r2, lsl #1\n\t"
        "sub r8, r8, r3\n\t"
        "lsl r8, r8, #1\n\t"
        "mls r9, r2, r3, r9\n"
        "1:\n\t"
        "subs r6, r3, #4\n\t"
        "blt 3f\n"
        "2:\n\t"
        "ldrsb r4, [r1]\n\t"
        "ldrsb r5, [r1, r2]\n\t"
        "ldrsb r11, [r1, r2, lsl #1]\n\t"
        "ldrsb r12, [r1, r10]\n\t"
        "add r1, r1, r2, lsl #2\n\t"
        "pkhbt r4, r4, r5, lsl #16\n\t"
        "pkhbt r5, r11, r12, lsl #16\n\t"
        "str r4, [r0], #4\n\t"
        "str r5, [r0], #4\n\t"
        "subs r6, r6, #4\n\t"
        "bge 2b\n"
        "3:\n\t"
        "adds r6, r6, #4\n\t"
        "beq 5f\n\t"
        "cmp r6, #2\n\t"
        "blt 4f\n\t"
        "ldrsb r4, [r1]\n\t"
        "ldrsb r5, [r1, r2]\n\t"
        "add r1, r1, r2, lsl #1\n\t"
        "pkhbt r4, r4, r5, lsl #16\n\t"
        "str r4, [r0], #4\n\t"
        "beq 5f\n"
        "4:\n\t"
        "ldrsb r4, [r1]\n\t"
        "add r1, r1, r2\n\t"
        "strh r4, [r0], #2\n"
        "5:\n\t"
        "add r0, r0, r8\n\t"
        "add r1, r1, r9\n\t"
        "subs r7, r7, #1\n\t"
        "bne 1b\n\t"
        "pop {r4-r11}\n\t"
        "bx lr");
}
#else
static void pr_gather(
    int16_t *to, const int8_t *from, int32_t step, int32_t n, int32_t rows, int32_t pitch, int32_t line)
{
    for (; rows > 0; rows--, to += pitch, from += line) {
        for (int32_t i = 0; i < n; i++) {
            to[i] = from[i * step];
        }
    }
}
#endif
