/* Interleaves 4n bytes of two windows as 16-bit pairs: a0a2 b0b2 a1a3 b1b3 for each four. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
__attribute__((naked, noinline)) static int32_t *pr_pack(int32_t *columns, const int8_t *a, const int8_t *b, int32_t n)
{
    (void)columns, (void)a, (void)b, (void)n;
    __asm__ volatile(
        "push {r4-r7}\n\t"
        "lsrs r3, r3, #1\n\t"
        "bcc 2f\n\t"
        "ldr r6, [r1], #4\n\t"
        "ldr r7, [r2], #4\n\t"
        "sxtb16 r4, r6\n\t"
        "sxtb16 r5, r7\n\t"
        "sxtb16 r6, r6, ror #8\n\t"
        "sxtb16 r7, r7, ror #8\n\t"
        "stm r0!, {r4-r7}\n\t"
        "2: cbz r3, 3f\n"
        "1:\n\t"
        ".rept 2\n\t"
        "ldr r6, [r1], #4\n\t"
        "ldr r7, [r2], #4\n\t"
        "sxtb16 r4, r6\n\t"
        "sxtb16 r5, r7\n\t"
        "sxtb16 r6, r6, ror #8\n\t"
        "sxtb16 r7, r7, ror #8\n\t"
        "stm r0!, {r4-r7}\n\t"
        ".endr\n\t"
        "subs r3, r3, #1\n\t"
        "bne 1b\n"
        "3: pop {r4-r7}\n\t"
        "bx lr");
}
#else
static int32_t *pr_pack(int32_t *columns, const int8_t *a, const int8_t *b, int32_t n)
{
    int16_t *to = (int16_t *)columns;
    for (; n > 0; n--, a += 4, b += 4, to += 8) {
        to[0] = a[0], to[1] = a[2], to[2] = b[0], to[3] = b[2];
        to[4] = a[1], to[5] = a[3], to[6] = b[1], to[7] = b[3];
    }
    return (int32_t *)to;
}
#endif
