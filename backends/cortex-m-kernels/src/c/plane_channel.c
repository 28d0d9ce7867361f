static void pr_channel(const pr_plane *c, const uint8_t *record, const pr_element *plane, int8_t *out, int32_t height)
{
    int32_t head[2];
    memcpy(head, record, 8);
    const int8_t *w = (const int8_t *)record + 8;
    uint32_t shift1 = record[8 + c->k_h * c->k_w];
    for (int32_t y = 0; y < height; y++) {
        const pr_element *from = plane + y * c->stride_h * c->pitch;
        int8_t *to = out + y * c->out_y;
        for (int32_t x = c->out_w; x > 0; x--, from += c->stride_w, to += c->out_x) {
            const pr_element *v = from;
            const int8_t *k = w;
            int32_t acc = head[0];
            for (int32_t ky = c->k_h; ky > 0; ky--, v += c->pitch - c->k_w) {
                for (int32_t kx = c->k_w; kx > 0; kx--) {
                    acc += *v++ * *k++;
                }
            }
            *to = (int8_t)pr_requant(acc, head[1], shift1, c->zero);
        }
    }
}
