static void pr_channel_wide(const pr_plane *c, const uint8_t *record, const pr_element *plane, int8_t *out, int32_t height)
{
    pr_dw_wide d;
    uint32_t weights[42], *to = weights;
    int32_t head[2], k = c->k_w;
    memcpy(head, record, 8);
    const int8_t *w = (const int8_t *)record + 8;
    for (int32_t ky = c->k_h; ky > 0; ky--, w += k) {
        for (int32_t i = 0; i + 1 < k; i += 2) {
            *to++ = ((uint32_t)(2 * w[i]) & 0xffffu) | (uint32_t)(2 * w[i + 1]) << 16;
        }
        if (c->stride_w > 1) {
            *to++ = (uint32_t)(2 * w[k - 1]) & 0xffffu;
        }
        for (int32_t i = 1; i < k && c->stride_w == 1; i += 2) {
            *to++ = ((uint32_t)(2 * w[i]) & 0xffffu) | (uint32_t)(2 * w[i + 1]) << 16;
        }
    }
    d.weights = weights;
    d.end = to;
    d.bias = 2 * head[0];
    d.multiplier = head[1];
    d.shift1 = *w;
    d.offset = c->zero * (1 << d.shift1);
    d.pitch = c->pitch * 2;
    d.out_x = c->out_x;
    d.width = c->out_w;
    d.plane = plane;
    d.out = out;
    d.row = d.pitch * c->stride_h;
    d.out_y = c->out_y;
    d.height = height;
    PR_DW_BY_LAYER
}
