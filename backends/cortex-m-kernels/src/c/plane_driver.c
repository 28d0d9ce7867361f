static void PR_NAME(const pr_plane *c, const int8_t *in, int8_t *out, void *scratch)
{
    pr_element *plane = (pr_element *)scratch;
    for (int32_t i = 0; i < c->rows * c->pitch; i++) {
        plane[i] = c->in_zero;
    }
    const uint8_t *record = c->weights;
    pr_element *inner = plane + c->pad_top * c->pitch + c->pad_left;
    int32_t used = 0, step = c->in_x;
    for (int32_t left = c->channels; left > 0; left--, out++, record += c->record) {
        if (used == 0) {
            pr_element *to = inner;
            const int8_t *row = in++;
            for (int32_t y = c->in_h; y > 0; y--, row += c->in_y, to += c->pitch) {
                const int8_t *from = row;
                pr_element *t = to;
                int32_t x = c->in_w;
                for (; x >= 4; x -= 4, t += 4) {
                    const int8_t *third = from + 2 * step;
                    t[0] = from[0];
                    t[1] = from[step];
                    t[2] = third[0];
                    t[3] = third[step];
                    from = third + 2 * step;
                }
                for (; x > 0; x--, from += step) {
                    *t++ = *from;
                }
            }
            used = c->per_input;
        }
        used--;
        PR_CHANNEL(c, record, plane, out);
    }
}
