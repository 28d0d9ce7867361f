/* Copies rows of n bytes that are line bytes apart to one place. */
#ifdef PR_HELIUM
__attribute__((naked, noinline)) static void pr_copy_rows(int8_t *to, const int8_t *from, int32_t n, int32_t rows, int32_t line)
{
    (void)to, (void)from, (void)n, (void)rows, (void)line;
    __asm__ volatile(
        "push {r4, r5, r6, lr}\n\t"
        "ldr r4, [sp, #16]\n"
        "1:\n\t"
        "mov r5, r0\n\t"
        "mov r6, r1\n\t"
        "wlstp.8 lr, r2, 3f\n"
        "2:\n\t"
        "vldrb.8 q0, [r6], #16\n\t"
        "vstrb.8 q0, [r5], #16\n\t"
        "letp lr, 2b\n"
        "3:\n\t"
        "add r0, r0, r2\n\t"
        "add r1, r1, r4\n\t"
        "subs r3, r3, #1\n\t"
        "bne 1b\n\t"
        "pop {r4, r5, r6, pc}");
}
#else
static void pr_copy_rows(int8_t *to, const int8_t *from, int32_t n, int32_t rows, int32_t line)
{
    for (; rows > 0; rows--, to += n, from += line) {
        memcpy(to, from, (size_t)n);
    }
}
#endif
