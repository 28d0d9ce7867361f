static void PR_NAME(const pr_plane *c, const int8_t *in, int8_t *out, void *scratch)
{
    pr_element *plane = (pr_element *)scratch;
    int32_t pitch = c->pitch, banded = c->band < c->out_h;
    for (int32_t i = 0; i < c->rows * pitch; i++) {
        plane[i] = c->in_zero;
    }
    const uint8_t *record = c->weights;
    for (int32_t channel = 0; channel < c->channels; channel++, record += c->record) {
        const int8_t *from = in + channel / c->per_input;
        int32_t first = 0;
        for (int32_t y = 0; y < c->out_h; y += c->band) {
            int32_t height = c->out_h - y < c->band ? c->out_h - y : c->band;
            int32_t top = y * c->stride_h - c->pad_top, last = (height - 1) * c->stride_h + c->k_h;
            int32_t inside = top + first < 0 ? -top : first, end = c->in_h - top < last ? c->in_h - top : last;
            if (inside < end) {
                pr_gather(
                    plane + inside * pitch + c->pad_left, from + (top + inside) * c->in_y, c->in_x, c->in_w,
                    end - inside, pitch, c->in_y);
            }
            if (banded) {
                for (int32_t i = first; i < last; i++) {
                    for (int32_t x = i < inside || i >= end ? pitch : 0; x > 0; x--) {
                        plane[i * pitch + x - 1] = c->in_zero;
                    }
                }
            }
            PR_CHANNEL(c, record, plane, out + channel + y * c->out_y, height);
            if (banded) {
                first = c->k_h - c->stride_h;
                const pr_element *halo = plane + c->band * c->stride_h * pitch;
                pr_move((int8_t *)plane, (const int8_t *)halo, first * pitch * (int32_t)sizeof *plane);
            }
        }
    }
}
