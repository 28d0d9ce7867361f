/* A 1x1 convolution: every pixel's channels are its window. */
typedef struct {
    const uint32_t *weights; /* stream of pr_mm42 */
    int32_t pixels, in_c, out_c;
    int32_t bytes, zero; /* as in pr_mm */
} pr_point;

static void pr_pointwise(const pr_point *c, const int8_t *in, int8_t *out)
{
    pr_mm m = {c->bytes, c->out_c, c->zero, c->in_c, c->pixels, c->out_c};
    PR_MM(in, c->weights, out, &m);
}
