/* Short copies upward through memory and fills, smaller than the library's functions. The empty
 * statement keeps compilers from turning the loops into calls of those. */
__attribute__((unused, noinline)) static void pr_move(int8_t *to, const int8_t *from, int32_t n)
{
#ifdef __ARM_FEATURE_UNALIGNED
    for (; n >= 4; n -= 4, to += 4, from += 4) {
        int32_t word;
        memcpy(&word, from, 4);
        memcpy(to, &word, 4);
        __asm__ volatile("");
    }
#endif
    for (; n > 0; n--) {
        *to++ = *from++;
        __asm__ volatile("");
    }
}

__attribute__((unused, noinline)) static void pr_fill(int8_t *to, int32_t value, int32_t n)
{
#ifdef __ARM_FEATURE_UNALIGNED
    uint32_t word = (uint32_t)(uint8_t)value * 0x1010101u;
    for (; n >= 4; n -= 4, to += 4) {
        memcpy(to, &word, 4);
        __asm__ volatile("");
    }
#endif
    for (; n > 0; n--) {
        *to++ = (int8_t)value;
        __asm__ volatile("");
    }
}
