/* One operand of an addition: (x + offset) * 2^20 * multiplier, rounded twice. A multiplier of one
 * half needs no rounding. */
static inline int32_t pr_add_term(int32_t x, int32_t offset, int32_t multiplier, int32_t shift)
{
    if (multiplier == 1 << 30 && shift == 0) {
        return (x + offset) * (1 << 19);
    }
    int32_t h = PR_MULHR((x + offset) * (1 << 21), multiplier);
    if (shift > 0) {
        h += (h >> 31) + (1 << (shift - 1));
        h >>= shift;
    }
    return h;
}

/* A quantized sum; sign is 1 or -1. A step of 0 repeats an operand. Every call has constant
 * parameters. */
static inline __attribute__((always_inline)) void pr_add(
    const int8_t *a, int32_t step_a, const int8_t *b, int32_t step_b, int8_t *out, int32_t n, int32_t sign,
    int32_t offset_a, int32_t multiplier_a, int32_t shift_a, int32_t offset_b, int32_t multiplier_b, int32_t shift_b,
    int32_t multiplier, int32_t shift, int32_t zero, int32_t low, int32_t high)
{
    for (; n > 0; n--) {
        int32_t x = pr_add_term(*a, offset_a, multiplier_a, shift_a);
        int32_t y = pr_add_term(*b, offset_b, multiplier_b, shift_b);
        a += step_a;
        b += step_b;
        int32_t h = PR_MULHR((x + sign * y) * 2, multiplier);
        if (shift > 0) {
            h += h >> 31;
            h = (h + (1 << (shift - 1)) + zero * (1 << shift)) >> shift;
        } else {
            h += zero;
        }
        h = pr_sat8(h);
        if (low > -128) {
            h = h < low ? low : h;
        }
        if (high < 127) {
            h = h > high ? high : h;
        }
        *out++ = (int8_t)h;
    }
}
