/* Layers that give their last output patch by patch; of the values between them only what a patch needs is there, and
 * it is computed anew for each, except that patches as wide as the output leave what they share of the first layer's rows
 * to each other. Patches come in the order of rows and columns or, upward, from the last one back,
 * and what they need lies before the output that they give, in memory of which the input is no longer read. */
typedef struct {
    uint32_t at; /* of the first and the last: offset in the arena */
    uint16_t height, width, channels;
    uint8_t stride[2], pad[2], kernel[2];
} pr_patched;

/* Patches of one size: rows of patches, rows and columns of each, bytes between the input and the output. */
typedef struct {
    uint16_t times, rows, cols;
    uint32_t room;
} pr_patches;

/* Rows and columns of a layer's output, and the padding of what they see. */
typedef struct {
    int32_t from[2], size[2], before[2];
} pr_part;

typedef struct {
    int32_t kind, times, done[2]; /* rows and columns of the last output that are done */
    int32_t low, high;            /* the room: offsets in the arena */
    int32_t wide;                 /* whether the patch is as wide as the output */
    pr_part fresh[2];             /* what the first layer has to do: of the input, of its output */
} pr_patch;

/* What a layer is to do: a part of its output from rows that are line pixels apart; there in_cols columns from x on are
 * read. */
typedef struct {
    const int8_t *row;
    int8_t *out;
    void *scratch;
    int32_t rows, cols, in_rows, in_cols, above, left, line, x;
} pr_cut;

/* The rows or columns that a layer's part sees. */
static void pr_part_seen(const pr_patched *l, pr_part *out, pr_part *in, int32_t a)
{
    int32_t from = out->from[a] * l->stride[a] - l->pad[a];
    int32_t end = from + (out->size[a] - 1) * l->stride[a] + l->kernel[a];
    int32_t whole = a ? l[-1].width : l[-1].height, first = from < 0 ? 0 : from;
    out->before[a] = first - from;
    in->from[a] = first;
    in->size[a] = (end < whole ? end : whole) - first;
}

/* The parts of the next patch; whether there is one. */
static int32_t pr_patch_next(
    int8_t *arena, const pr_patched *l, pr_part *part, int32_t last, const pr_patches *kinds, int32_t upward, pr_patch *p)
{
    int32_t before = part[1].from[0], end = before + part[1].size[0], wide = p->wide, low = p->low;
    int32_t size[2] = {l[last].height, l[last].width};
    if (p->done[1] >= size[1]) {
        p->done[1] = 0;
        p->done[0] += part[last].size[0];
        if (++p->times >= kinds[p->kind].times) {
            p->times = 0;
            p->kind++;
        }
    }
    if (p->done[0] >= size[0]) {
        return 0;
    }
    const pr_patches *kind = kinds + p->kind;
    for (int32_t a = 0; a < 2; a++) {
        int32_t most = a ? kind->cols : kind->rows, left = size[a] - p->done[a];
        int32_t n = most < left ? most : left;
        part[last].size[a] = n;
        part[last].from[a] = upward ? left - n : p->done[a];
        for (int32_t i = last; i > 0; i--) {
            pr_part_seen(l + i, part + i, part + i - 1, a);
        }
    }
    p->done[1] += part[last].size[1];
    int32_t out = (int32_t)l[last].at + (part[last].from[0] * size[1] + part[last].from[1]) * l[last].channels;
    if (upward) {
        p->high = out & ~3;
        p->low = p->high - (int32_t)kind->room;
    } else {
        p->low = (out + part[last].size[0] * part[last].size[1] * l[last].channels + 3) & ~3;
        p->high = p->low + (int32_t)kind->room;
    }
    p->wide = part[last].size[1] == size[1];
    p->fresh[0] = part[0];
    p->fresh[1] = part[1];
    int32_t from = part[1].from[0], to = from + part[1].size[0], kept = upward ? to - before : end - from;
    if (wide && p->wide && kept > 0) {
        int32_t row = part[1].size[1] * l[1].channels, n = kept * row;
        const int8_t *old = arena + low + (upward ? 0 : (from - before) * row);
        int8_t *now = arena + p->low + (upward ? (before - from) * row : 0);
        if (now < old) {
            pr_move(now, old, n);
        } else {
            /* From the end, as much at once as does not reach what is still to be moved. */
            for (int32_t shift = (int32_t)(now - old), m; n > 0 && shift > 0;) {
                m = n < shift ? n : shift;
                n -= m;
                pr_move(now + n, old + n, m);
            }
        }
        p->fresh[1].from[0] = upward ? from : end;
        p->fresh[1].size[0] = part[1].size[0] - kept;
        if (p->fresh[1].size[0] > 0) {
            pr_part_seen(l + 1, p->fresh + 1, p->fresh, 0);
        }
    }
    return 1;
}

/* Bytes that a layer's part takes. */
static int32_t pr_part_bytes(const pr_patched *l, const pr_part *part)
{
    return (part->size[0] * part->size[1] * l->channels + 3) & ~3;
}

/* What layer i does for the patch; whether that is anything. What layers leave lies at either end of the room in turn,
 * scratch memory between. */
static int32_t pr_patch_cut(
    int8_t *arena, const pr_patched *l, const pr_part *part, int32_t last, const pr_patch *p, int32_t i, pr_cut *b)
{
    const pr_part *in = i == 1 ? p->fresh : part + i - 1, *out = i == 1 ? p->fresh + 1 : part + i;
    int8_t *places[2];
    /* Wide patches keep what the first layer left. */
    int32_t kept = p->wide ? pr_part_bytes(l + 1, part + 1) : 0, taken = kept;
    for (int32_t k = 0; k < 2; k++) {
        int32_t at = i - 1 + k;
        if (at == 0 || at == last) {
            const pr_part *whole = at ? part + at : in;
            int32_t first = at ? whole->from[0] * l[at].width + whole->from[1] : whole->from[0] * l[at].width;
            places[k] = arena + l[at].at + first * l[at].channels;
        } else if (at & 1) {
            int32_t from = at == 1 ? 0 : kept;
            taken = from + pr_part_bytes(l + at, part + at);
            places[k] = arena + p->low + from;
        } else {
            places[k] = arena + p->high - pr_part_bytes(l + at, part + at);
        }
    }
    if (i == 1) {
        places[1] += (out->from[0] - part[1].from[0]) * out->size[1] * l[1].channels;
    }
    b->row = places[0];
    b->out = places[1];
    b->scratch = arena + p->low + taken;
    b->rows = out->size[0];
    b->cols = out->size[1];
    b->in_rows = in->size[0];
    b->in_cols = in->size[1];
    b->above = out->before[0];
    b->left = out->before[1];
    b->line = i == 1 ? l[0].width : b->in_cols;
    b->x = i == 1 ? in->from[1] : 0;
    return out->size[0] > 0;
}
