/* A convolution whose windows are gathered for two pixels at a time. */
typedef struct {
    const uint32_t *weights; /* stream of pr_mm42 */
    uint16_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t bytes, groups, zero; /* as in pr_mm */
    int8_t k_h, k_w, stride_h, stride_w, pad_top, pad_left, in_zero;
} pr_conv;

/* The k_w * in_c bytes of the window row at (y, x): in place when inside the image, else put
 * together in edge. */
static const int8_t *pr_window_row(const pr_conv *c, const int8_t *in, int32_t y, int32_t x, int8_t *edge)
{
    int32_t first = x < 0 ? -x : 0, last = c->in_w - x < c->k_w ? c->in_w - x : c->k_w;
    int32_t depth = c->in_c;
    if (y < 0 || y >= c->in_h || first > c->k_w) {
        first = last = 0;
    }
    in += (y * c->in_w + x) * depth;
    if (first == 0 && last == c->k_w) {
        return in;
    }
    if (last < first) {
        last = first;
    }
    pr_fill(edge, c->in_zero, first * depth);
    pr_move(edge + first * depth, in + first * depth, (last - first) * depth);
    pr_fill(edge + last * depth, c->in_zero, (c->k_w - last) * depth);
    return edge;
}

static void pr_conv2d(const pr_conv *c, const int8_t *in, int8_t *out, int32_t *scratch)
{
    pr_mm m = {c->bytes, c->groups, c->out_c, c->zero};
    int32_t row = c->k_w * c->in_c, words = row >> 2, rest = row & 3;
    int8_t *edge = (int8_t *)scratch + c->bytes, *edge2 = edge + ((row + 3) & ~3);
    int8_t *tail = edge2 + ((row + 3) & ~3), *tail2 = tail + ((rest * c->k_h + 3) & ~3);
    int32_t line = c->in_w * c->in_c, y0 = -c->pad_top;
    for (int32_t oy = c->out_h; oy > 0; oy--, y0 += c->stride_h) {
        int32_t x0 = -c->pad_left, y_inside = y0 >= 0 && y0 + c->k_h <= c->in_h;
        for (int32_t ox = c->out_w; ox > 0; ox -= 2) {
            int32_t x1 = ox > 1 ? x0 + c->stride_w : x0;
            int32_t inside = y_inside && x0 >= 0 && x1 + c->k_w <= c->in_w;
            const int8_t *first = in + (y0 * c->in_w + x0) * c->in_c, *second = first + (x1 - x0) * c->in_c;
            int32_t *to = scratch;
            int8_t *t = tail, *t2 = tail2;
            for (int32_t y = y0; y < y0 + c->k_h; y++, first += line, second += line) {
                const int8_t *a = first, *b = second;
                if (!inside) {
                    a = pr_window_row(c, in, y, x0, edge);
                    b = pr_window_row(c, in, y, x1, edge2);
                }
                if (words) {
                    to = pr_pack(to, a, b, words);
                }
                for (int32_t i = row - rest; i < row; i++) {
                    *t++ = a[i];
                    *t2++ = b[i];
                }
            }
            if (rest) {
                pr_pack(to, tail, tail2, (rest * c->k_h + 3) >> 2);
            }
            m.stride = ox > 1 ? c->out_c : 0;
            PR_MM(scratch, c->weights, out, &m);
            out += 2 * c->out_c;
            x0 += 2 * c->stride_w;
        }
        if (c->out_w & 1) {
            out -= c->out_c;
        }
    }
}
