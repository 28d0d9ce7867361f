/* A fully connected layer: four outputs at a time, one multiplier for all or one for each. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multipliers; /* mantissa and shift */
    int32_t in, out;
    int16_t step; /* 0: one multiplier; 2: one for each output */
    int16_t zero;
} pr_rows;

static void pr_dense1(const pr_rows *c, const int8_t *in, int8_t *out)
{
    const int8_t *w = c->weights;
    const int32_t *multiplier = c->multipliers, *bias = c->bias;
    int32_t n = c->in;
    for (int32_t left = c->out; left > 0; left -= 4) {
        /* Rows past the last repeat it; their sums are not stored. */
        const int8_t *w1 = left > 1 ? w + n : w, *w2 = left > 2 ? w1 + n : w1, *w3 = left > 3 ? w2 + n : w2;
        int32_t sums[4], rows = left < 4 ? left : 4;
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
        for (const int8_t *x = in, *end = in + n; x != end; x++) {
            int32_t v = *x;
            s0 += v * *w++;
            s1 += v * *w1++;
            s2 += v * *w2++;
            s3 += v * *w3++;
        }
        sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
        for (int32_t i = 0; i < rows; i++, multiplier += c->step) {
            int32_t acc = pr_scale_any(sums[i] + *bias++, multiplier[0], multiplier[1]) + c->zero;
            *out++ = (int8_t)pr_sat8(acc);
        }
        w = w3;
    }
}
