/* The rows that a row of outputs sees, from input row y on and padded on both sides; those that the
 * strip has already move up. */
static void pr_strip(const pr_conv *c, const int8_t *in, int32_t y, int8_t *strip, int32_t kept)
{
    int32_t line = c->in_w * c->in_c, left = c->pad_left * c->in_c, width = c->strip;
    int32_t inside = width - left < line ? width - left : line;
    int32_t i = kept > 0 ? kept : 0;
    pr_move(strip, strip + (c->k_h - i) * width, i * width);
    for (; i < c->k_h; i++) {
        int8_t *to = strip + i * width;
        pr_fill(to, c->in_zero, width);
        if (y + i >= 0 && y + i < c->in_h) {
            pr_move(to + left, in + (y + i) * line, inside);
        }
    }
}
