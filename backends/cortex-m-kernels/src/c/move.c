/* Short copies upward through memory and fills, smaller than the library's functions. The empty
 * statement keeps compilers from turning the loops into calls of those. */
__attribute__((unused, noinline)) static void pr_move(int8_t *to, const int8_t *from, int32_t n)
{
    for (; n > 0; n--) {
        *to++ = *from++;
        __asm__ volatile("");
    }
}

__attribute__((unused, noinline)) static void pr_fill(int8_t *to, int32_t value, int32_t n)
{
    for (; n > 0; n--) {
        *to++ = (int8_t)value;
        __asm__ volatile("");
    }
}
