#if !(defined(__ARM_FEATURE_DSP) && defined(__GNUC__))
static void pr_dw3_plain(const pr_dw3 *c, int32_t stride, int32_t line)
{
    for (int32_t y = 0; y < c->height; y++) {
        const int16_t *x = (const int16_t *)((const char *)c->plane + y * c->row);
        int8_t *to = c->out + y * c->out_y;
        for (int32_t i = 0; i < c->width; i++, x += stride, to += c->out_x) {
            int32_t acc = c->bias;
            for (int32_t k = 0; k < 3; k++) {
                const int16_t *v = (const int16_t *)((const char *)x + k * c->pitch);
                uint32_t first = c->weights[2 * k], last = c->weights[2 * k + 1];
                acc += v[0] * (int16_t)first + v[1] * (int16_t)(first >> 16) + v[2] * (int16_t)(last >> 16);
            }
            int32_t h = (int32_t)(((int64_t)acc * c->multiplier + 0x80000000LL) >> 32);
            h = line ? (h + c->offset) >> 6 : (h + (h >> 31) + c->offset) >> c->shift1 >> 1;
            *to = (int8_t)pr_sat8(h);
        }
    }
}
#endif
