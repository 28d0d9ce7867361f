/* Adds to each sum the product of n inputs with the weights of one output; a row of weights begins `apart` bytes after
 * the one before. The sums of so few products fit 32 bits. */
#define PR_RUN16 508

PR_KEPT static void pr_products16(const int16_t *x, const int8_t *w, int32_t apart, int32_t n, int32_t rows, int64_t *sums)
{
#ifdef PR_HELIUM
    if (rows == 4) {
        const int8_t *w1 = w + apart, *w2 = w1 + apart, *w3 = w2 + apart;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (; n > 0; n -= 8, x += 8, w += 8, w1 += 8, w2 += 8, w3 += 8) {
            mve_pred16_t left = vctp16q((uint32_t)n);
            int16x8_t v = vldrhq_z_s16(x, left);
            a = vmladavaq_s16(a, v, vldrbq_z_s16(w, left));
            b = vmladavaq_s16(b, v, vldrbq_z_s16(w1, left));
            c = vmladavaq_s16(c, v, vldrbq_z_s16(w2, left));
            d = vmladavaq_s16(d, v, vldrbq_z_s16(w3, left));
        }
        sums[0] += a;
        sums[1] += b;
        sums[2] += c;
        sums[3] += d;
        return;
    }
#endif
    for (; rows > 0; rows--, w += apart) {
        int32_t acc = 0;
        for (int32_t i = 0; i < n; i++) {
            acc += x[i] * w[i];
        }
        *sums++ += acc;
    }
}
