/* A convolution whose windows are gathered for two pixels at a time. */
typedef struct {
    const uint32_t *weights; /* stream of pr_mm42 */
    uint16_t in_h, in_w, in_c, out_h, out_w, out_c;
    int32_t bytes, groups, zero; /* as in pr_mm */
    int8_t k_h, k_w, stride_h, stride_w, pad_top;
    int16_t pad_left; /* less than 0 where the columns of a patch begin further right */
    int8_t in_zero;
    uint16_t strip; /* bytes of a padded row, where the rows for a row of outputs are put together; else 0 */
} pr_conv;

/* The k_w * in_c bytes of the window row at (y, x): in place when inside the image, else put
 * together in edge. */
PR_APART static const int8_t *pr_window_row(const pr_conv *c, const int8_t *in, int32_t y, int32_t x, int8_t *edge)
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
