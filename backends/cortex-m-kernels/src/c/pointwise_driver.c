PR_APART static void PR_NAME(const pr_point *c, const int8_t *in, int8_t *out, int32_t *scratch)
{
PR_PREPARE    pr_mm m = {c->bytes, c->groups, c->out_c, c->zero};
    for (int32_t left = c->pixels; left > 0; left -= 2) {
        const int8_t *second = in + c->in_c;
        if (left == 1) {
            second = in;
            m.stride = 0;
        }
        pr_pack(scratch, in, second, (c->in_c + 3) >> 2);
        PR_PRODUCT(scratch, PR_WEIGHTS, out, &m);
        in += 2 * c->in_c;
        out += 2 * c->out_c;
    }
}
