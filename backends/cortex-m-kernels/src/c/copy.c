/* Copies a box of up to five axes between two layouts, run bytes at a time; the last axis is the
 * fastest. */
typedef struct {
    int32_t size[5], from[5], to[5], run;
} pr_box;

static void pr_copy(const pr_box *c, const void *in, void *out)
{
    const char *from = (const char *)in;
    char *to = (char *)out;
    int32_t at[5] = {0, 0, 0, 0, 0};
    for (;;) {
        memcpy(to, from, (size_t)c->run);
        int32_t axis = 4;
        for (; axis >= 0; axis--) {
            from += c->from[axis];
            to += c->to[axis];
            if (++at[axis] < c->size[axis]) {
                break;
            }
            from -= c->from[axis] * c->size[axis];
            to -= c->to[axis] * c->size[axis];
            at[axis] = 0;
        }
        if (axis < 0) {
            return;
        }
    }
}
