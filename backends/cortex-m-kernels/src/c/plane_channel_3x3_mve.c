static void pr_channel_3x3(const pr_plane *c, const uint8_t *record, const pr_element *plane, int8_t *out, int32_t height)
{
    int32_t head[2];
    memcpy(head, record, 8);
    const int8_t *w = (const int8_t *)record + 8;
    int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
    int32_t shift1 = record[17], stride = c->stride_w, pitch = c->pitch;
#ifdef PR_HELIUM
    uint32x4_t lanes = vidupq_n_u32(0, 1), from = vmulq_n_u32(lanes, (uint32_t)stride);
    uint32x4_t to_lanes = vmulq_n_u32(lanes, (uint32_t)c->out_x);
    int32_t zero = c->zero >> 1, relu = c->zero == -255;
    for (int32_t y = 0; y < height; y++) {
        const int8_t *a = plane + y * c->stride_h * pitch, *b = a + pitch, *d = b + pitch;
        int8_t *to = out + y * c->out_y;
        for (int32_t x = c->out_w; x > 0; x -= 4) {
            int32x4_t acc = vdupq_n_s32(head[0]);
#define PR_TAP(p, i, w) acc = vmlaq_n_s32(acc, stride == 1 ? vldrbq_s32((p) + (i)) : vldrbq_gather_offset_s32((p) + (i), from), w)
            PR_TAP(a, 0, w0);
            PR_TAP(a, 1, w1);
            PR_TAP(a, 2, w2);
            PR_TAP(b, 0, w3);
            PR_TAP(b, 1, w4);
            PR_TAP(b, 2, w5);
            PR_TAP(d, 0, w6);
            PR_TAP(d, 1, w7);
            PR_TAP(d, 2, w8);
#undef PR_TAP
            acc = vqrdmulhq_n_s32(acc, head[1]);
            if (!relu) {
                acc = vaddq_s32(acc, vshrq_n_s32(acc, 31));
            }
            acc = vaddq_n_s32(vrshlq_n_s32(acc, -1 - shift1), zero);
            int16x8_t half = vqmovnbq_s32(vuninitializedq_s16(), acc);
            int8x16_t byte = vqmovnbq_s16(vuninitializedq_s8(), half);
            vstrbq_scatter_offset_p_s32(to, to_lanes, vreinterpretq_s32_s8(byte), vctp32q((uint32_t)x));
            a += 4 * stride;
            b += 4 * stride;
            d += 4 * stride;
            to += 4 * c->out_x;
        }
    }
#else
    for (int32_t y = 0; y < height; y++) {
        const pr_element *a = plane + y * c->stride_h * pitch, *b = a + pitch, *d = b + pitch;
        int8_t *to = out + y * c->out_y;
        for (int32_t x = c->out_w; x > 0; x--, a += stride, b += stride, d += stride, to += c->out_x) {
            int32_t acc = head[0];
            acc += a[0] * w0 + a[1] * w1 + a[2] * w2;
            acc += b[0] * w3 + b[1] * w4 + b[2] * w5;
            acc += d[0] * w6 + d[1] * w7 + d[2] * w8;
            *to = (int8_t)pr_requant(acc, head[1], (uint32_t)shift1, c->zero);
        }
    }
#endif
}
