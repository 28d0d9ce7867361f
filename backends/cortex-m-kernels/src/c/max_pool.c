static void pr_max_pool(const pr_pool *c, const int8_t *in, int8_t *out)
{
    int32_t y0 = -c->pad_top, depth = c->channels;
    for (int32_t oy = c->out_h; oy > 0; oy--, y0 += c->stride_h) {
        int32_t x0 = -c->pad_left;
        for (int32_t ox = c->out_w; ox > 0; ox--, x0 += c->stride_w) {
            int32_t top = y0 < 0 ? 0 : y0, bottom = y0 + c->k_h < c->in_h ? y0 + c->k_h : c->in_h;
            int32_t left = x0 < 0 ? 0 : x0, right = x0 + c->k_w < c->in_w ? x0 + c->k_w : c->in_w;
            for (int32_t i = 0; i < depth; i++) {
                int32_t max = c->low;
                for (int32_t y = top; y < bottom; y++) {
                    const int8_t *from = in + (y * c->in_w + left) * depth + i;
                    for (int32_t x = right - left; x > 0; x--, from += depth) {
                        max = *from > max ? *from : max;
                    }
                }
                *out++ = (int8_t)(max > c->high ? c->high : max);
            }
        }
    }
}
