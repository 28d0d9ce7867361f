/* The sums of up to four outputs, whose rows of weights begin `apart` bytes after each other. */
static void pr_sums16(
    const pr_taps16 *t, const int16_t *in, const int8_t *weights, int32_t apart, int32_t outputs, int64_t *sums)
{
    for (int32_t rows = t->rows; rows > 0; rows--, in += t->row, weights += t->w_row) {
        const int16_t *x = in;
        const int8_t *w = weights;
        for (int32_t runs = t->runs; runs > 0; runs--, x += t->run, w += t->w_run) {
            for (int32_t at = 0; at < t->n; at += PR_RUN16) {
                int32_t n = t->n - at < PR_RUN16 ? t->n - at : PR_RUN16;
                pr_products16(x + at, w + at, apart, n, outputs, sums);
            }
        }
    }
}

PR_KEPT static void pr_conv16(const pr_window16 *c, const int16_t *in, int16_t *out)
{
    int32_t tap = c->group_in, apart = c->k_h * c->k_w * tap, row = c->in_w * c->in_c;
    int32_t together = c->dilation_w == 1 && tap == c->in_c;
    pr_taps16 t = {0, 1, tap, c->dilation_h * row, c->dilation_w * c->in_c, c->k_w * tap, tap};
    for (int32_t oy = 0, y0 = -c->pad_top; oy < c->out_h; oy++, y0 += c->stride_h) {
        int32_t top, bottom;
        pr_inside16(y0, c->dilation_h, c->k_h, c->in_h, &top, &bottom);
        t.rows = bottom - top;
        for (int32_t ox = 0, x0 = -c->pad_left; ox < c->out_w; ox++, x0 += c->stride_w) {
            int32_t left, right;
            pr_inside16(x0, c->dilation_w, c->k_w, c->in_w, &left, &right);
            if (together) {
                t.n = (right - left) * tap;
            } else {
                t.runs = right - left;
            }
            const int16_t *x = in + (y0 + top * c->dilation_h) * row + (x0 + left * c->dilation_w) * c->in_c;
            const int8_t *w = c->weights + (top * c->k_w + left) * tap;
            const int32_t *by = c->multipliers;
            for (int32_t o = 0, outputs = 0, rest = c->group_out; o < c->out_c; o += outputs, rest -= outputs) {
                if (rest == 0) {
                    rest = c->group_out;
                    x += tap;
                }
                outputs = rest < 4 ? rest : 4;
                int64_t sums[4];
                memcpy(sums, c->bias + o, (size_t)outputs * sizeof *sums);
                pr_sums16(&t, x, w + o * apart, apart, outputs, sums);
                for (int32_t i = 0; i < outputs; i++, by += 2) {
                    *out++ = pr_scale16(sums[i], by, c);
                }
            }
        }
    }
}
