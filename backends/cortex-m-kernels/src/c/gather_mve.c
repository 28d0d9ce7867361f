/* Copies n values that are step bytes apart. */
#ifdef PR_HELIUM
__attribute__((naked, noinline)) static void pr_gather(int8_t *to, const int8_t *from, int32_t step, int32_t n)
{
    (void)to, (void)from, (void)step, (void)n;
    __asm__ volatile(
        "push {r4, lr}\n\t"
        "movs r4, #0\n\t"
        "vidup.u32 q1, r4, #1\n\t"
        "vmul.i32 q1, q1, r2\n\t"
        "lsls r4, r2, #2\n\t"
        "wlstp.32 lr, r3, 2f\n"
        "1:\n\t"
        "vldrb.s32 q0, [r1, q1]\n\t"
        "add r1, r1, r4\n\t"
        "vstrb.32 q0, [r0], #4\n\t"
        "letp lr, 1b\n"
        "2:\n\t"
        "pop {r4, pc}");
}
#else
static void pr_gather(int8_t *to, const int8_t *from, int32_t step, int32_t n)
{
    for (; n > 0; n--, from += step) {
        *to++ = *from;
    }
}
#endif
#define PR_GATHER pr_gather
