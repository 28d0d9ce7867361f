static int32_t pr_saturate(int64_t x)
{
    return x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : (int32_t)x;
}

/* round(x / 2^s), ties away from zero. */
static int32_t pr_divide_pot(int32_t x, int32_t s)
{
    return (int32_t)(((int64_t)x + ((int64_t)1 << (s - 1)) - (x < 0)) >> s);
}

/* Rows of depth values. Differences d from the largest value count exp(-d * multiplier * 2^(shift - 31)) in
 * Q5.26; from limit on they count nothing. */
static void pr_softmax(
    int32_t multiplier, int32_t shift, int32_t limit, const int8_t *in, int8_t *out, int32_t rows, int32_t depth)
{
    for (; rows > 0; rows--, in += depth, out += depth) {
        int32_t max = -128, sum = 0, zeros = 0;
        for (int32_t i = 0; i < depth; i++) {
            max = in[i] > max ? in[i] : max;
        }
        for (int32_t i = 0; i < depth; i++) {
            if (max - in[i] < limit) {
                sum += pr_divide_pot(pr_exp(pr_mulh((in[i] - max) * (1 << shift), multiplier)), 12);
            }
        }
        while (!((uint32_t)sum >> 31)) {
            sum = (int32_t)((uint32_t)sum << 1);
            zeros++;
        }
        /* 1 / (1 + x) for x in [0, 1) by three Newton steps from 48/17 - 32/17 d, d = (1 + x) / 2. */
        int32_t half = (int32_t)(((int64_t)(sum & INT32_MAX) + INT32_MAX + 1) / 2);
        int32_t x = 1515870810 + pr_mulh(half, -1010580540);
        for (int32_t i = 0; i < 3; i++) {
            int32_t rest = (1 << 29) - pr_mulh(half, x);
            x += pr_saturate((int64_t)pr_mulh(x, rest) * 4);
        }
        x = pr_saturate((int64_t)x * 2);
        for (int32_t i = 0; i < depth; i++) {
            int32_t diff = max - in[i], v = -128;
            if (diff < limit) {
                v = pr_sat8(pr_divide_pot(pr_mulh(x, pr_exp(pr_mulh(-diff * (1 << shift), multiplier))), 12 - zeros + 23) - 128);
            }
            out[i] = (int8_t)v;
        }
    }
}
