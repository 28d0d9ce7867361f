/* A fully connected layer: one output at a time, one multiplier for all or one for each. */
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
    const int32_t *multiplier = c->multipliers;
    for (int32_t o = 0; o < c->out; o++, multiplier += c->step) {
        const int8_t *x = in, *end = in + (c->in & ~3);
        int32_t acc = c->bias[o];
        for (; x != end; x += 4, w += 4) {
            acc += x[0] * w[0];
            acc += x[1] * w[1];
            acc += x[2] * w[2];
            acc += x[3] * w[3];
        }
        for (int32_t k = c->in & 3; k > 0; k--) {
            acc += *x++ * *w++;
        }
        acc = pr_scale_any(acc, multiplier[0], multiplier[1]) + c->zero;
        *out++ = (int8_t)pr_sat8(acc);
    }
}
