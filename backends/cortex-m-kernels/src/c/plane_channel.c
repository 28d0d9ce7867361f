static void pr_channel(const pr_plane *c, const uint8_t *record, const pr_element *plane, int8_t *out, int32_t height)
{
    int32_t head[2];
    memcpy(head, record, 8);
    const int8_t *w = (const int8_t *)record + 8;
    /* Read once: outputs are bytes, which might be anything's. */
    int32_t k_h = c->k_h, k_w = c->k_w, next = c->pitch - k_w, stride = c->stride_w, step = c->out_x, zero = c->zero;
    uint32_t shift1 = record[8 + k_h * k_w];
    for (int32_t y = 0; y < height; y++) {
        const pr_element *from = plane + y * c->stride_h * c->pitch;
        int8_t *to = out + y * c->out_y;
        for (int32_t x = c->out_w; x > 0; x--, from += stride, to += step) {
            const pr_element *v = from;
            const int8_t *k = w;
            int32_t acc = head[0];
            for (int32_t ky = k_h; ky > 0; ky--, v += next) {
                const pr_element *end = v + k_w;
                do {
                    acc += *v++ * *k++;
                } while (v != end);
            }
            *to = (int8_t)pr_requant(acc, head[1], shift1, zero);
        }
    }
}
