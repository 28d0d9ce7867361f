/* A 3x3 depthwise convolution, one channel at a time. scratch holds the strip, c->pitch bytes. */
static void pr_depthwise_3x3(const pr_plane *c, const int8_t *in, int8_t *out, void *scratch)
{
    pr_dw d;
    d.zero = c->zero >> 1;
    d.strip = (int8_t *)scratch;
    d.inner = 4 * c->pad_left;
    d.in_x = c->in_x, d.in_y = c->in_y, d.out_x = c->out_x, d.out_y = c->out_y;
    d.in_w = c->in_w, d.out_w = c->out_w, d.in_h = c->in_h, d.out_h = c->out_h;
    d.row = -c->pad_top - (c->stride_h - 1);
    d.fill = (uint32_t)(uint8_t)c->in_zero * 0x01010000u;
    d.places = c->stride_h == 1 ? 0x00030002 : 0x00020001;
    memset(scratch, c->in_zero, (size_t)c->pitch);
    const uint8_t *record = c->weights;
    for (int32_t channel = 0; channel < c->channels; channel++, record += 18) {
        memcpy(&d.bias, record, 8);
        for (int32_t i = 0; i < 3; i++) {
            d.weights[i] = record[8 + i] | (uint32_t)record[11 + i] << 8 | (uint32_t)record[14 + i] << 16;
        }
        d.shift = -1 - record[17];
        /* The first step begins above the image: an address, not yet a place in it. */
        intptr_t first = channel / c->per_input + d.row * c->in_y;
        d.in = (const int8_t *)((uintptr_t)in + (uintptr_t)first);
        d.out = out + channel;
        PR_DW3_BY_LAYER
    }
}
