/* For any zero point of the output. */
#ifdef PR_HELIUM
__attribute__((naked, noinline)) static void pr_mm42(
    const int8_t *window, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    (void)window, (void)stream, (void)out, (void)m;
    __asm__ volatile(PR_MM42(PR_DENSE_BEGIN, PR_DENSE_BLOCKS, PR_TIES));
}
#else
static void pr_mm42(const int8_t *window, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    for (int32_t pixel = 0; pixel < m->pixels; pixel += 2) {
        const int8_t *w = (const int8_t *)stream;
        for (int32_t channel = 0; channel < m->channels; channel += 4) {
            const int8_t *tail = w + 4 * m->bytes;
            for (int32_t i = 0; i < 4 && channel + i < m->channels; i++) {
                int32_t bias, multiplier;
                memcpy(&bias, tail + 4 * i, 4);
                memcpy(&multiplier, tail + 16 + 4 * i, 4);
                for (int32_t p = pixel; p < pixel + 2 && p < m->pixels; p++) {
                    const int8_t *x = window + p * m->apart;
                    int32_t acc = bias;
                    for (int32_t k = 0; k < m->bytes; k++) {
                        int32_t weight = w[(k / 16 * 4 + i) * 16 + k % 16];
                        acc += weight ? x[k] * weight : 0;
                    }
                    int32_t by = tail[32 + i], code = by < 0 ? -1 - by : 33 + by;
                    int32_t scaled = PR_REQUANT(acc, multiplier, (uint32_t)code, m->zero);
                    out[p * m->stride + channel + i] = (int8_t)scaled;
                }
            }
            w = tail + 36;
        }
    }
}
#endif
