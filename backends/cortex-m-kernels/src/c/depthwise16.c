/* The sums of four channels. */
PR_KEPT static void pr_planes16(const pr_taps16 *t, const int16_t *in, const int8_t *weights, int32_t *sums)
{
    pr_quad16 s = pr_none16();
    for (int32_t rows = t->rows; rows > 0; rows--, in += t->row, weights += t->w_row) {
        s = pr_run16(s, in, weights, t->run, t->w_run, t->runs);
    }
    pr_put16(sums, s);
}

/* The sum of one channel. */
static int32_t pr_plane16(const pr_taps16 *t, const int16_t *in, const int8_t *weights)
{
    int32_t sum = 0;
    for (int32_t rows = t->rows; rows > 0; rows--, in += t->row, weights += t->w_row) {
        const int16_t *x = in;
        const int8_t *w = weights;
        for (int32_t runs = t->runs; runs > 0; runs--, x += t->run, w += t->w_run) {
            sum += *x * *w;
        }
    }
    return sum;
}

PR_KEPT static void pr_depth16(const pr_window16 *c, const int16_t *in, int16_t *out)
{
    int32_t channels = c->in_c, row = c->in_w * channels;
    pr_taps16 t = {0, 0, 1, c->dilation_h * row, c->dilation_w * channels, c->k_w * channels, channels};
    for (int32_t oy = 0, y0 = -c->pad_top; oy < c->out_h; oy++, y0 += c->stride_h) {
        int32_t top, bottom;
        pr_inside16(y0, c->dilation_h, c->k_h, c->in_h, &top, &bottom);
        t.rows = bottom - top;
        for (int32_t ox = 0, x0 = -c->pad_left; ox < c->out_w; ox++, x0 += c->stride_w) {
            int32_t left, right;
            pr_inside16(x0, c->dilation_w, c->k_w, c->in_w, &left, &right);
            t.runs = right - left;
            const int16_t *x = in + (y0 + top * c->dilation_h) * row + (x0 + left * c->dilation_w) * channels;
            const int8_t *w = c->weights + (top * c->k_w + left) * channels;
            const int32_t *by = c->multipliers;
            for (int32_t first = 0; first < channels; first += 4) {
                int32_t sums[4], there = channels - first < 4 ? channels - first : 4;
                if (there == 4) {
                    pr_planes16(&t, x + first, w + first, sums);
                }
                for (int32_t i = 0; i < there; i++, by += 2) {
                    int32_t sum = there == 4 ? sums[i] : pr_plane16(&t, x + first + i, w + first + i);
                    *out++ = pr_scale16(c->bias[first + i] + sum, by, c);
                }
            }
        }
    }
}
