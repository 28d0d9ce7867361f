static void PR_NAME(const pr_point *c, const int8_t *in, int8_t *out)
{
    pr_mm m = {c->bytes, c->out_c, c->zero, c->in_c, c->pixels, c->out_c};
    PR_PRODUCT(in, c->weights, out, &m);
}
