static void PR_NAME(const PR_RECORD, const int8_t *in, int8_t *out, void *scratch)
{
PR_PREPARE    int8_t *strip = (int8_t *)scratch;
    int32_t depth = c->in_c, column = c->k_h * depth, line = c->in_w * depth;
    uint8_t places[16];
    /* Pixels that are moved at once: those whose 16 bytes reach no further than 255. */
    int32_t lot = depth <= 8 && 15 / depth * column + depth <= 255 ? 16 / depth : 0;
    for (int32_t i = 0; lot && i < 16; i++) {
        places[i] = (uint8_t)(i / depth * column + i % depth);
    }
    int32_t tiles = c->tile < c->out_w;
    for (int32_t oy = 0; oy < c->out_h; oy++) {
        int32_t y = oy * c->stride_h - c->pad_top;
        for (int32_t from = 0; from < c->out_w; from += c->tile) {
            int32_t width = c->out_w - from < c->tile ? c->out_w - from : c->tile;
            int32_t columns = (width - 1) * c->stride_w + c->k_w, x = from * c->stride_w - c->pad_left;
            if (oy == 0 || tiles || y + c->k_h > c->in_h) {
                memset(strip, c->in_zero, (size_t)(columns * column));
            }
            int32_t first = x < 0 ? -x : 0, count = c->in_w - x < columns ? c->in_w - x : columns;
            count -= first;
            for (int32_t ky = 0; ky < c->k_h && count > 0; ky++) {
                if (y + ky >= 0 && y + ky < c->in_h) {
                    pr_strip_row(c, in + (y + ky) * line, strip + first * column + ky * depth, x + first, count, places, lot);
                }
            }
            pr_mm m = {c->bytes, c->out_c, c->zero, c->stride_w * column, width, c->out_c};
            PR_PRODUCT(strip, PR_WEIGHTS, out, &m);
            out += width * c->out_c;
        }
    }
}
