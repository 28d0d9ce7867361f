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
