#if !(defined(__ARM_FEATURE_DSP) && defined(__GNUC__))
/* Scales a group's sums; the stream past it. */
static inline const uint32_t *pr_mm_end(const uint32_t *stream, int32_t sums[2][4], int8_t **out, const pr_mm *m)
{
    uint32_t shifts = *stream++;
    *out -= shifts >> 30;
    for (int32_t i = 0; i < 4; i++, shifts >>= 8) {
        int32_t multiplier = (int32_t)*stream++;
        for (int32_t p = 0; p < 2; p++) {
            (*out)[p * m->stride + i] = (int8_t)PR_REQUANT(sums[p][i], multiplier, shifts & 63, m->zero);
        }
    }
    *out += 4;
    return stream;
}

static inline void pr_mm_codes(const int32_t *table, const uint8_t *codes, const int16_t *x, int32_t sums[2][4])
{
    for (int32_t i = 0; i < 4; i++) {
        int32_t w = (int16_t)table[codes[i]], w2 = table[codes[i]] >> 16;
        for (int32_t p = 0; p < 2; p++) {
            sums[p][i] += x[2 * p] * w + x[2 * p + 1] * w2;
        }
    }
}
#endif
