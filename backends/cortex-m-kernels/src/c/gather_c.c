/* Copies n values that are step bytes apart. */
static inline void pr_gather(int8_t *to, const int8_t *from, int32_t step, int32_t n)
{
    for (; n >= 4; n -= 4, to += 4) {
        const int8_t *third = from + 2 * step;
        to[0] = from[0];
        to[1] = from[step];
        to[2] = third[0];
        to[3] = third[step];
        from = third + 2 * step;
    }
    for (; n > 0; n--, from += step) {
        *to++ = *from;
    }
}
#define PR_GATHER pr_gather
