/* A 1x1 convolution: every pixel's channels are its window. */
typedef struct {
    const uint32_t *weights; /* stream of pr_mm42 */
    int32_t pixels, in_c, out_c;
    int32_t bytes, zero; /* as in pr_mm */
} pr_point;

static void pr_pointwise(const pr_point *c, const int8_t *in, int8_t *out, int32_t *scratch)
{
    pr_mm m = {c->bytes, c->out_c, c->out_c, c->zero};
    for (int32_t left = c->pixels; left > 0; left -= 2) {
        if (left == 1) {
            m.stride = 0;
        }
        pr_copy_rows((int8_t *)scratch, in, c->in_c, 1, 0);
        pr_copy_rows((int8_t *)scratch + c->bytes, left > 1 ? in + c->in_c : in, c->in_c, 1, 0);
        PR_MM(scratch, c->weights, out, &m);
        in += 2 * c->in_c;
        out += 2 * c->out_c;
    }
}
