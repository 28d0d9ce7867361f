static void pr_channel_3x3(const pr_plane *c, const uint8_t *record, const pr_element *plane, int8_t *out, int32_t height)
{
    int32_t head[2];
    memcpy(head, record, 8);
    const int8_t *w = (const int8_t *)record + 8;
    int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
    uint32_t shift1 = record[17];
    int32_t zero = c->zero * (1 << shift1), out_x = c->out_x, stride = c->stride_w, pitch = c->pitch;
    for (int32_t y = 0; y < height; y++) {
        const pr_element *a = plane + y * c->stride_h * pitch, *b = a + pitch, *d = b + pitch;
        int8_t *to = out + y * c->out_y;
        for (int32_t x = c->out_w; x > 0; x--, a += stride, b += stride, d += stride, to += out_x) {
            int32_t acc = head[0];
            acc += a[0] * w0 + a[1] * w1 + a[2] * w2;
            acc += b[0] * w3 + b[1] * w4 + b[2] * w5;
            acc += d[0] * w6 + d[1] * w7 + d[2] * w8;
            int32_t h = pr_mulh(acc, head[1]);
            h += (h >> 31) + zero;
            *to = (int8_t)pr_sat8((h >> shift1) >> 1);
        }
    }
}
