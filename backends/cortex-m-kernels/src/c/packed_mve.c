/* The products of the windows of a strip: each group is decoded once for all of them. */
static void pr_packed_products(const pr_packed *p, const int8_t *strip, uint32_t *group, int8_t *out, pr_mm *m)
{
    const uint32_t *from = p->conv.weights;
    for (int32_t left = p->conv.out_c; left > 0; left -= 4, out += 4) {
        from = pr_group(p, group, from, 0);
        m->channels = left < 4 ? left : 4;
        PR_MM(strip, group, out, m);
    }
}
