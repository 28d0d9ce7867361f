/* A convolution of 16-bit inputs. */
typedef struct {
    const int8_t *weights; /* out_c x k_h x k_w x group_in */
    const int64_t *bias;
    const int32_t *multipliers; /* multiplier and shift of each output channel */
    int32_t in_h, in_w, in_c, out_h, out_w, out_c, group_in, group_out;
    int16_t k_h, k_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t zero, low, high;
} pr_window16;

/* The sums of up to four outputs of a group, whose first inputs are at `in`, for the window at y0, x0. */
static void pr_sums16(
    const pr_window16 *c, const int16_t *in, const int8_t *weights, int32_t y0, int32_t x0, int32_t rows, int64_t *sums)
{
    int32_t apart = c->k_h * c->k_w * c->group_in;
    /* Taps that are one run of inputs. */
    int32_t together = c->dilation_w == 1 && c->group_in == c->in_c ? c->k_w : 1;
    for (int32_t ky = 0; ky < c->k_h; ky++, weights += c->k_w * c->group_in) {
        int32_t y = y0 + ky * c->dilation_h;
        if (y < 0 || y >= c->in_h) {
            continue;
        }
        for (int32_t kx = 0; kx < c->k_w; kx += together) {
            int32_t x = x0 + kx * c->dilation_w, from = kx, end = x + together;
            if (x < 0) {
                from -= x;
                x = 0;
            }
            end = end < c->in_w ? end : c->in_w;
            int32_t n = (end - x) * c->group_in;
            const int16_t *inputs = in + (y * c->in_w + x) * c->in_c;
            const int8_t *w = weights + from * c->group_in;
            for (; n > 0; n -= PR_RUN16, inputs += PR_RUN16, w += PR_RUN16) {
                pr_products16(inputs, w, apart, n < PR_RUN16 ? n : PR_RUN16, rows, sums);
            }
        }
    }
}

static void pr_conv16(const pr_window16 *c, const int16_t *in, int16_t *out)
{
    int32_t apart = c->k_h * c->k_w * c->group_in;
    for (int32_t oy = 0; oy < c->out_h; oy++) {
        for (int32_t ox = 0; ox < c->out_w; ox++) {
            const int16_t *group = in;
            for (int32_t o = 0, rows = 0, left = c->group_out; o < c->out_c; o += rows, left -= rows) {
                if (left == 0) {
                    left = c->group_out;
                    group += c->group_in;
                }
                rows = left < 4 ? left : 4;
                int64_t sums[4];
                memcpy(sums, c->bias + o, (size_t)rows * sizeof *sums);
                pr_sums16(
                    c, group, c->weights + o * apart, oy * c->stride_h - c->pad_top, ox * c->stride_w - c->pad_left,
                    rows, sums);
                for (int32_t i = 0; i < rows; i++) {
                    const int32_t *by = c->multipliers + 2 * (o + i);
                    *out++ = (int16_t)pr_scale16(sums[i], by[0], by[1], c->zero, c->low, c->high);
                }
            }
        }
    }
}
