#if !(defined(__ARM_FEATURE_DSP) && defined(__GNUC__))
static void pr_dw_wide_plain(const pr_dw_wide *c, int32_t k, int32_t stride)
{
    int32_t words = stride == 1 ? k - 1 : (k + 1) / 2;
    for (int32_t y = 0; y < c->height; y++) {
        const int16_t *x = (const int16_t *)((const char *)c->plane + y * c->row);
        int8_t *to = c->out + y * c->out_y;
        for (int32_t i = 0; i < c->width; i++, x += stride, to += c->out_x) {
            int32_t acc = c->bias;
            const int16_t *v = x;
            for (const uint32_t *w = c->weights; w < c->end; w += words) {
                for (int32_t at = 0; at + 1 < k; at++) {
                    acc += v[at] * (int16_t)(w[at / 2] >> 16 * (at & 1));
                }
                acc += v[k - 1] * (int16_t)(w[words - 1] >> (stride == 1 ? 16 : 0));
                v = (const int16_t *)((const char *)v + c->pitch);
            }
            int32_t h = (int32_t)(((int64_t)acc * c->multiplier + 0x80000000LL) >> 32);
            h = (h + (h >> 31) + c->offset) >> c->shift1;
            *to = (int8_t)pr_sat8(h >> 1);
        }
    }
}
#endif
