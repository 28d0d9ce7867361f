/* A function of 16-bit numbers by its table of 513 entries, interpolated. */
static int32_t pr_table16(const int16_t *table, int32_t x)
{
    const int16_t *at = table + 256 + (x >> 7);
    return at[0] + (((at[1] - at[0]) * (x & 127) + 64) >> 7);
}

/* Rows of depth values by tables of exp(x) and of 1 / (1 + x); differences from the largest value are scaled. */
static void pr_softmax16(
    const int16_t *exps, const int16_t *inverses, int32_t multiplier, int32_t shift, const int16_t *in, int16_t *out,
    int32_t rows, int32_t depth)
{
    for (; rows > 0; rows--, in += depth, out += depth) {
        int32_t max = -32768, sum = 0, bits = 0, factor = 0;
        for (int32_t i = 0; i < depth; i++) {
            max = in[i] > max ? in[i] : max;
        }
        for (int32_t i = 0; i < depth; i++) {
            int32_t e = pr_table16(exps, pr_sat16(pr_scale_small(in[i] - max, multiplier, shift) + 32767));
            out[i] = (int16_t)e;
            sum += e;
        }
        if (sum > 0) {
            while (sum >> bits > 1) {
                bits++;
            }
            int32_t one = (int32_t)((((int64_t)sum << (30 - bits)) + (1 << 13)) >> 14);
            factor = pr_table16(inverses, pr_sat16(one - (1 << 15) - (1 << 16)));
        }
        for (int32_t i = 0; i < depth; i++) {
            int32_t v = (out[i] * factor + (1 << (bits > 0 ? bits - 1 : 0))) >> bits;
            out[i] = (int16_t)(v < 0 ? 0 : pr_sat16(v));
        }
    }
}
