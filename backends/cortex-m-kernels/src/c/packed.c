/* The products of the pairs of windows that lie in columns: each group is decoded once for all of them. */
PR_APART static void pr_packed_products(const pr_packed *p, int32_t *columns, int8_t *out, int32_t pairs, int32_t single)
{
    const pr_conv *c = &p->conv;
    const uint32_t *from = c->weights;
    uint32_t *group = (uint32_t *)columns - p->words;
    pr_mm m = {c->bytes, 1, c->out_c, c->zero};
    for (int32_t g = c->groups; g > 0; g--, out += 4) {
        int8_t *to = out;
        from = pr_group(p, group, from, 4);
        for (int32_t i = 1; i <= pairs; i++, to += 2 * c->out_c) {
            m.stride = single && i == pairs ? 0 : c->out_c;
            PR_MM(columns + (i - 1) * (c->bytes >> 2), group, to, &m);
        }
    }
}
