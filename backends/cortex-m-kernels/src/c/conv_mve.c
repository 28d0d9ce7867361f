/* A convolution whose windows are gathered for two pixels at a time. */
typedef struct {
    const uint32_t *weights; /* stream of pr_mm42 */
    uint16_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t bytes, zero; /* as in pr_mm */
    int8_t k_h, k_w, stride_h, stride_w, pad_top, pad_left, in_zero;
} pr_conv;

/* A window's rows one after another. */
static void pr_window(const pr_conv *c, const int8_t *in, int8_t *to, int32_t y, int32_t x)
{
    int32_t first = x < 0 ? -x : 0, last = c->in_w - x < c->k_w ? c->in_w - x : c->k_w;
    int32_t depth = c->in_c, row = c->k_w * depth, line = c->in_w * depth;
    const int8_t *from = in + (y * c->in_w + x) * depth;
    if (y >= 0 && y + c->k_h <= c->in_h && first == 0 && last == c->k_w) {
        pr_copy_rows(to, from, row, c->k_h, line);
        return;
    }
    memset(to, c->in_zero, (size_t)(c->k_h * row));
    for (int32_t end = y + c->k_h; y < end; y++, from += line, to += row) {
        if (y >= 0 && y < c->in_h && last > first) {
            memcpy(to + first * depth, from + first * depth, (size_t)((last - first) * depth));
        }
    }
}

static void pr_conv2d(const pr_conv *c, const int8_t *in, int8_t *out, int32_t *scratch)
{
    pr_mm m = {c->bytes, c->out_c, c->out_c, c->zero};
    int32_t y = -c->pad_top;
    for (int32_t oy = c->out_h; oy > 0; oy--, y += c->stride_h) {
        int32_t x = -c->pad_left;
        for (int32_t ox = c->out_w; ox > 0; ox -= 2) {
            pr_window(c, in, (int8_t *)scratch, y, x);
            if (ox > 1) {
                pr_window(c, in, (int8_t *)scratch + c->bytes, y, x + c->stride_w);
            }
            m.stride = ox > 1 ? c->out_c : 0;
            if (ox == 1) {
                memcpy((int8_t *)scratch + c->bytes, scratch, (size_t)c->bytes);
            }
            PR_MM(scratch, c->weights, out, &m);
            out += (ox > 1 ? 2 : 1) * c->out_c;
            x += 2 * c->stride_w;
        }
    }
}
