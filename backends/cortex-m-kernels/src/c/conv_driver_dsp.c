PR_APART static void PR_NAME(const PR_RECORD, const int8_t *in, int8_t *out, int32_t *scratch)
{
PR_PREPARE    int32_t row = c->k_w * c->in_c, rest = row & 3, aligned = (row + 3) & ~3, step = c->stride_w * c->in_c;
    int32_t width = PR_STRIP, line = width ? width : c->in_w * c->in_c, y0 = -c->pad_top;
    PR_STRIP_KEPTint8_t *edge = (int8_t *)scratch + PR_ROOMc->bytes;
    int8_t *tail = edge + (width ? (width * c->k_h + 3) & ~3 : 2 * aligned);
    pr_pair p = {0, row >> 2, rest, line - row, tail, tail + ((rest * c->k_h + 3) & ~3)};
    for (int32_t oy = c->out_h; oy > 0; oy--, y0 += c->stride_h) {
        int32_t x0 = -c->pad_left, y_inside = y0 >= 0 && y0 + c->k_h <= c->in_h;
        const int8_t *first = in + (y0 * c->in_w + x0) * c->in_c;
        PR_STRIP_ROWS
        for (int32_t ox = c->out_w; ox > 0; ox -= 2, x0 += 2 * c->stride_w, first += 2 * step) {
            int32_t x1 = ox > 1 ? x0 + c->stride_w : x0;
            const int8_t *second = ox > 1 ? first + step : first;
            int32_t *to = scratchPR_PLACE;
            p.rows = c->k_h;
            if (width || (y_inside && x0 >= 0 && x1 + c->k_w <= c->in_w)) {
                to = pr_windows(to, first, second, &p);
            } else {
                p.rows = 1;
                for (int32_t y = y0; y < y0 + c->k_h; y++, p.tail += rest, p.tail2 += rest) {
                    const int8_t *a = pr_window_row(c, in, y, x0, edge);
                    to = pr_windows(to, a, pr_window_row(c, in, y, x1, edge + aligned), &p);
                }
                p.tail -= rest * c->k_h;
                p.tail2 -= rest * c->k_h;
            }
            if (rest) {
                pr_pack(to, p.tail, p.tail2, (rest * c->k_h + 3) >> 2);
            }
PR_PRODUCTS        }
        if (c->out_w & 1) {
            out -= c->out_c;
        }
    }
}
