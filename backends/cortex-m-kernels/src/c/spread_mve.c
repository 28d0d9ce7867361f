/* Copies n bytes at a time from places from_step apart to places to_step apart, as long as left, in
 * bytes of input, lasts; n is at most 16, and byte i of each n goes to offset places[i]. */
#ifdef PR_HELIUM
__attribute__((naked, noinline)) static void pr_spread(
    int8_t *to, const int8_t *from, int32_t left, int32_t to_step, int32_t from_step, const uint8_t *places)
{
    (void)to, (void)from, (void)left, (void)to_step, (void)from_step, (void)places;
    __asm__ volatile(
        "push {r4, r5}\n\t"
        "ldrd r4, r5, [sp, #8]\n\t"
        "vldrb.8 q1, [r5]\n"
        "1:\n\t"
        "vctp.8 r2\n\t"
        "subs r2, r2, r4\n\t"
        "vpstt\n\t"
        "vldrbt.8 q0, [r1]\n\t"
        "vstrbt.8 q0, [r0, q1]\n\t"
        "add r1, r1, r4\n\t"
        "add r0, r0, r3\n\t"
        "bgt 1b\n\t"
        "pop {r4, r5}\n\t"
        "bx lr");
}
/* The same for blocks of n at most 16 bytes that stay together; count blocks. */
__attribute__((naked, noinline)) static void pr_spread_blocks(
    int8_t *to, const int8_t *from, int32_t n, int32_t to_step, int32_t from_step, int32_t count)
{
    (void)to, (void)from, (void)n, (void)to_step, (void)from_step, (void)count;
    __asm__ volatile(
        "push {r4, lr}\n\t"
        "ldrd r4, r12, [sp, #8]\n\t"
        "vctp.8 r2\n\t"
        "dls lr, r12\n"
        "1:\n\t"
        "vpstt\n\t"
        "vldrbt.8 q0, [r1]\n\t"
        "vstrbt.8 q0, [r0]\n\t"
        "add r1, r1, r4\n\t"
        "add r0, r0, r3\n\t"
        "le lr, 1b\n\t"
        "pop {r4, pc}");
}
#else
static void pr_spread(
    int8_t *to, const int8_t *from, int32_t left, int32_t to_step, int32_t from_step, const uint8_t *places)
{
    for (; left > 0; left -= from_step, to += to_step, from += from_step) {
        for (int32_t i = 0; i < from_step && i < left; i++) {
            to[places[i]] = from[i];
        }
    }
}
static void pr_spread_blocks(
    int8_t *to, const int8_t *from, int32_t n, int32_t to_step, int32_t from_step, int32_t count)
{
    for (; count > 0; count--, to += to_step, from += from_step) {
        memcpy(to, from, (size_t)n);
    }
}
#endif
