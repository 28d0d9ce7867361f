PR_APART static void PR_NAME(const PR_RECORD, const int8_t *in, int8_t *out, int32_t *scratch)
{
PR_PREPARE    int32_t row = c->k_w * c->in_c, words = row >> 2, rest = row & 3;
    int8_t *edge = (int8_t *)scratch + PR_ROOMc->bytes, *edge2 = edge + ((row + 3) & ~3);
    int8_t *tail = edge2 + ((row + 3) & ~3), *tail2 = tail + ((rest * c->k_h + 3) & ~3);
    int32_t line = c->in_w * c->in_c, y0 = -c->pad_top;
    for (int32_t oy = c->out_h; oy > 0; oy--, y0 += c->stride_h) {
        int32_t x0 = -c->pad_left, y_inside = y0 >= 0 && y0 + c->k_h <= c->in_h;
        for (int32_t ox = c->out_w; ox > 0; ox -= 2) {
            int32_t x1 = ox > 1 ? x0 + c->stride_w : x0;
            int32_t inside = y_inside && x0 >= 0 && x1 + c->k_w <= c->in_w;
            const int8_t *first = in + (y0 * c->in_w + x0) * c->in_c, *second = first + (x1 - x0) * c->in_c;
            int32_t *to = scratchPR_PLACE;
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
PR_PRODUCTS            x0 += 2 * c->stride_w;
        }
        if (c->out_w & 1) {
            out -= c->out_c;
        }
    }
}
