/* A convolution by strips: the input rows that a row of outputs sees are laid side by side in scratch,
 * column after column, so that every window is one piece. Weights come in the same order. */
typedef struct {
    const uint32_t *weights; /* stream of pr_mm42 */
    uint16_t in_h, in_w, in_c, out_h, out_w, out_c;
    uint16_t tile;     /* outputs of a row that one strip gives, an even number or all */
    int32_t bytes, zero; /* as in pr_mm */
    int8_t k_h, k_w, stride_h, stride_w, pad_top, pad_left, in_zero;
} pr_conv;

/* Row y of the image, columns from x up to end, into row ky of the strip's columns from to. */
static void pr_strip_row(const pr_conv *c, const int8_t *in, int8_t *to, int32_t x, int32_t count, const uint8_t *places, int32_t lot)
{
    int32_t depth = c->in_c, column = c->k_h * depth;
    in += x * depth;
    if (lot) {
        pr_spread(to, in, count * depth, lot * column, lot * depth, places);
        return;
    }
    for (int32_t i = 0; i < depth; i += 16) {
        pr_spread_blocks(to + i, in + i, depth - i < 16 ? depth - i : 16, column, depth, count);
    }
}
