/* A convolution for any dilation, channel count and multiplier, one output at a time. */
typedef struct {
    const int8_t *weights;      /* out_c x k_h x k_w x in_c */
    const int32_t *bias;
    const int32_t *multipliers; /* mantissa and shift of each output channel */
    int32_t in_h, in_w, in_c, out_h, out_w, out_c, groups;
    int16_t k_h, k_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int16_t in_zero, out_zero;
} pr_conv_any;

static void pr_conv2d_any(const pr_conv_any *c, const int8_t *in, int8_t *out)
{
    int32_t group_in = c->in_c / c->groups, group_out = c->out_c / c->groups;
    for (int32_t oy = 0; oy < c->out_h; oy++) {
        for (int32_t ox = 0; ox < c->out_w; ox++) {
            const int8_t *w = c->weights;
            for (int32_t o = 0; o < c->out_c; o++) {
                int32_t acc = c->bias[o];
                const int8_t *from = in + o / group_out * group_in;
                for (int32_t ky = 0; ky < c->k_h; ky++) {
                    int32_t iy = oy * c->stride_h - c->pad_top + ky * c->dilation_h;
                    for (int32_t kx = 0; kx < c->k_w; kx++, w += group_in) {
                        int32_t ix = ox * c->stride_w - c->pad_left + kx * c->dilation_w;
                        if (iy < 0 || iy >= c->in_h || ix < 0 || ix >= c->in_w) {
                            continue;
                        }
                        const int8_t *x = from + (iy * c->in_w + ix) * c->in_c;
                        for (int32_t i = 0; i < group_in; i++) {
                            acc += (x[i] - c->in_zero) * w[i];
                        }
                    }
                }
                acc = pr_scale_any(acc, c->multipliers[2 * o], c->multipliers[2 * o + 1]);
                *out++ = (int8_t)pr_sat8(acc + c->out_zero);
            }
        }
    }
}
