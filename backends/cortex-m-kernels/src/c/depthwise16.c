/* A depthwise convolution of 16-bit inputs; the weights are k_h x k_w x channels. */
typedef struct {
    const int8_t *weights;
    const int64_t *bias;
    const int32_t *multipliers; /* multiplier and shift of each channel */
    int32_t in_h, in_w, channels, out_h, out_w;
    int16_t k_h, k_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t zero, low, high;
} pr_planes16;

/* The sums of four channels for the window at y0, x0. */
static void pr_four_planes16(
    const pr_planes16 *c, const int16_t *in, const int8_t *w, int32_t y0, int32_t x0, int32_t *sums)
{
    pr_quad16 s = pr_none16();
    for (int32_t ky = 0, y = y0; ky < c->k_h; ky++, y += c->dilation_h) {
        for (int32_t kx = 0, x = x0; kx < c->k_w; kx++, x += c->dilation_w, w += c->channels) {
            if (y >= 0 && y < c->in_h && x >= 0 && x < c->in_w) {
                s = pr_tap16(s, in + (y * c->in_w + x) * c->channels, w);
            }
        }
    }
    pr_put16(sums, s);
}

static int32_t pr_plane16(const pr_planes16 *c, const int16_t *in, const int8_t *w, int32_t y0, int32_t x0)
{
    int32_t sum = 0;
    for (int32_t ky = 0, y = y0; ky < c->k_h; ky++, y += c->dilation_h) {
        for (int32_t kx = 0, x = x0; kx < c->k_w; kx++, x += c->dilation_w, w += c->channels) {
            if (y >= 0 && y < c->in_h && x >= 0 && x < c->in_w) {
                sum += in[(y * c->in_w + x) * c->channels] * *w;
            }
        }
    }
    return sum;
}

static void pr_depth16(const pr_planes16 *c, const int16_t *in, int16_t *out)
{
    for (int32_t oy = 0, y0 = -c->pad_top; oy < c->out_h; oy++, y0 += c->stride_h) {
        for (int32_t ox = 0, x0 = -c->pad_left; ox < c->out_w; ox++, x0 += c->stride_w) {
            const int32_t *by = c->multipliers;
            int32_t sums[4];
            for (int32_t i = 0; i < c->channels; i++, by += 2) {
                if (i % 4 == 0 && i + 4 <= c->channels) {
                    pr_four_planes16(c, in + i, c->weights + i, y0, x0, sums);
                } else if (i + 4 > c->channels + i % 4) {
                    sums[i % 4] = pr_plane16(c, in + i, c->weights + i, y0, x0);
                }
                *out++ = (int16_t)pr_scale16(
                    c->bias[i] + sums[i % 4], by[0], by[1], c->zero, c->low, c->high);
            }
        }
    }
}
