/* Two pixels by all output channels, four channels at a time. A group of the weight stream holds
 * 4 words of bias, bytes / 2 words of weights (a byte for each channel), shifts - 1 (a byte each, the top two
 * bits: how many channels the last group steps back), 4 multipliers. */
PR_APART static void pr_mm42(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    for (int32_t g = m->groups; g > 0; g--) {
        int32_t s0 = (int32_t)stream[0], s1 = (int32_t)stream[1], s2 = (int32_t)stream[2], s3 = (int32_t)stream[3];
        int32_t t0 = s0, t1 = s1, t2 = s2, t3 = s3;
        const int8_t *x = (const int8_t *)columns, *end = x + m->bytes;
        const int8_t *w = (const int8_t *)(stream + 4);
        while (x != end) {
#define PR_STEP(i)                                     \
    do {                                               \
        int32_t a = x[2 * (i)], b = x[2 * (i) + 1], k; \
        k = w[4 * (i)], s0 += a * k, t0 += b * k;      \
        k = w[4 * (i) + 1], s1 += a * k, t1 += b * k;  \
        k = w[4 * (i) + 2], s2 += a * k, t2 += b * k;  \
        k = w[4 * (i) + 3], s3 += a * k, t3 += b * k;  \
    } while (0)
            PR_STEP(0);
            PR_STEP(1);
            PR_STEP(2);
            PR_STEP(3);
#undef PR_STEP
            x += 8;
            w += 16;
        }
        stream = (const uint32_t *)w;
        uint32_t shifts = stream[0];
        out -= shifts >> 30;
        int8_t *to = out, *to2 = to + m->stride;
        int32_t sums[8] = {s0, t0, s1, t1, s2, t2, s3, t3};
        for (int32_t i = 0; i < 4; i++, shifts >>= 8) {
            int32_t multiplier = (int32_t)stream[1 + i];
            to[i] = (int8_t)PR_REQUANT(sums[2 * i], multiplier, shifts & 63, m->zero);
            to2[i] = (int8_t)PR_REQUANT(sums[2 * i + 1], multiplier, shifts & 63, m->zero);
        }
        stream += 5;
        out += 4;
    }
}
