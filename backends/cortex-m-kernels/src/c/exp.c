static int32_t pr_times(int32_t a, int32_t b)
{
    __asm__ volatile("");
    return pr_mulh(a, b);
}

/* exp(x) in Q0.31 for x <= 0 in Q5.26, as gemmlowp computes it: a series about -1/8 for the part of x
 * in [-1/4, 0), times a power of e for each higher bit. */
static int32_t pr_exp(int32_t x)
{
    static const int32_t powers[7] = {
        1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (x == 0) {
        return INT32_MAX;
    }
    int32_t part = (x & 0xffffff) - 0x1000000, rest = part - x;
    int32_t a = part * 32 + (1 << 28), a2 = pr_times(a, a), a4 = pr_times(a2, a2);
    a4 = (a4 + 2 - (a4 < 0)) >> 2;
    int32_t series = pr_times(a4 + pr_times(a2, a), 715827883) + a2;
    series = (series + 1 - (series < 0)) >> 1;
    int32_t result = 1895147668 + pr_times(1895147668, a + series);
    for (int32_t i = 0; i < 7; i++) {
        if (rest >> (24 + i) & 1) {
            result = pr_times(result, powers[i]);
        }
    }
    return result;
}
