/* The product of pr_mm42 with weights of fewer bits or without blocks of zeros. A group holds 4 words of bias, then
 * for each input four channels' weights, PR_WHAT, and the end of pr_mm42's. */
PR_APART static void PR_NAME(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
PR_BOOK    for (int32_t g = m->groups; g > 0; g--) {
        int32_t s0 = (int32_t)stream[0], s1 = (int32_t)stream[1], s2 = (int32_t)stream[2], s3 = (int32_t)stream[3];
        int32_t t0 = s0, t1 = s1, t2 = s2, t3 = s3;
        const int8_t *x = (const int8_t *)columns;
        const uint16_t *w = (const uint16_t *)(stream + 4);
        PR_LOOP {
            for (int32_t i = 0; i < 4; i++, w += PR_HALVES, x += 2) {
                int32_t a = x[0], b = x[1], k;
                k = PR_WEIGHT(0), s0 += a * k, t0 += b * k;
                k = PR_WEIGHT(1), s1 += a * k, t1 += b * k;
                k = PR_WEIGHT(2), s2 += a * k, t2 += b * k;
                k = PR_WEIGHT(3), s3 += a * k, t3 += b * k;
            }
        }
PR_AFTER        stream = (const uint32_t *)w;
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
