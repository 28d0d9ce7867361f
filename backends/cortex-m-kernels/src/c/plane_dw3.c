static void pr_channel_3x3(const pr_plane *c, const uint8_t *record, const pr_element *plane, int8_t *out, int32_t height)
{
    pr_dw3 d;
    int32_t head[2];
    memcpy(head, record, 8);
    const int8_t *w = (const int8_t *)record + 8;
    int32_t line = c->line, factor = line ? 1 << line : 2;
    for (int32_t i = 0; i < 6; i += 2, w += 3) {
        uint32_t middle = (uint32_t)(factor * w[1]);
        d.weights[i] = ((uint32_t)(factor * w[0]) & 0xffffu) | middle << 16;
        d.weights[i + 1] = (middle & 0xffffu) | (uint32_t)(factor * w[2]) << 16;
    }
    d.bias = line ? head[0] : 2 * head[0];
    d.multiplier = head[1];
    d.shift1 = (uint8_t)*w;
    d.offset = line ? c->zero + d.shift1 : c->zero * (1 << d.shift1);
    d.pitch = c->pitch * 2;
    d.out_x = c->out_x;
    d.width = c->out_w;
    d.plane = plane;
    d.out = out;
    d.row = d.pitch * c->stride_h;
    d.out_y = c->out_y;
    d.height = height;
    PR_DW3_PAIRS
    PR_DW3_BY_LAYER
}
