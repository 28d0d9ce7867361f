/* Layers that work on rows as they come: of the values between them only the rows that are still wanted
 * are kept. Layer 0 is the input, whole in the arena; the last one's output is whole too. */
typedef struct {
    uint32_t at;                     /* where its rows are kept: offset in the arena */
    uint32_t row;                    /* bytes of a row */
    uint16_t height;                 /* rows in all */
    int8_t inputs[2], users[2];      /* layers that it reads and that read it, -1 for none */
    uint8_t stride, pad, reach;      /* in rows: step, padding above, window without that */
} pr_stream;

/* Rows of a layer's output: the first that is kept, the end of those that are done, and of those
 * wanted now. */
typedef struct {
    int32_t base, done, want;
} pr_done;

/* What a layer is to do: rows of outputs from rows of inputs below rows of padding. */
typedef struct {
    const int8_t *in[2];
    int8_t *out;
    int32_t rows, in_rows, above;
} pr_band;

/* Lets the last layer advance by a number of rows; whether anything is left to do. */
static int32_t pr_rows_want(const pr_stream *l, pr_done *d, int32_t last, int32_t rows)
{
    if (d[last].done >= l[last].height) {
        return 0;
    }
    d[last].want = d[last].done + rows < l[last].height ? d[last].done + rows : l[last].height;
    for (int32_t i = last; i > 0; i--) {
        if (d[i].want > d[i].done) {
            int32_t end = (d[i].want - 1) * l[i].stride + l[i].reach;
            for (int32_t k = 0; k < 2; k++) {
                int32_t j = l[i].inputs[k];
                if (j > 0) {
                    int32_t rows_of = end < l[j].height ? end : l[j].height;
                    d[j].want = d[j].want > rows_of ? d[j].want : rows_of;
                }
            }
        }
    }
    return 1;
}

/* The band that layer i has to do; whether there is one. */
static int32_t pr_rows_next(int8_t *arena, const pr_stream *l, pr_done *d, int32_t i, pr_band *b)
{
    int32_t done = d[i].done, want = d[i].want, low = done;
    if (want <= done) {
        return 0;
    }
    int8_t *own = arena + l[i].at;
    for (int32_t k = 0; k < 2 && l[i].users[k] >= 0; k++) {
        int32_t user = l[i].users[k], from = d[user].done * l[user].stride - l[user].pad;
        low = from < low ? from : low;
    }
    if (l[i].users[0] >= 0 && low > d[i].base) {
        int32_t row = (int32_t)l[i].row;
        pr_move(own, own + (low - d[i].base) * row, (done - low) * row);
        d[i].base = low;
    }
    int32_t top = done * l[i].stride - l[i].pad, first = top < 0 ? 0 : top;
    int32_t end = (want - 1) * l[i].stride + l[i].reach;
    for (int32_t k = 0; k < 2; k++) {
        int32_t j = l[i].inputs[k];
        if (j >= 0) {
            b->in[k] = arena + l[j].at + (first - d[j].base) * (int32_t)l[j].row;
            end = end < l[j].height ? end : l[j].height;
        }
    }
    b->out = own + (done - d[i].base) * (int32_t)l[i].row;
    b->rows = want - done;
    b->in_rows = end - first;
    b->above = first - top;
    d[i].done = want;
    return 1;
}
