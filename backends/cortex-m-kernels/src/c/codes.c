/* Weights as codes, decoded for four channels at a time: a group holds what PR_GROUP_WORDS counts as pr_mm42 has it
 * around its weights, then, where each channel has a codebook of its own, those of four channels, then the codes. */
typedef const uint32_t *(*pr_decode)(
    uint32_t *to, const uint32_t *codes, const int8_t *book, int32_t step, int32_t blocks);
typedef struct {
    pr_conv conv;
    pr_decode decode;
    const int8_t *book; /* of all channels, or 0 */
    int32_t step;       /* from a channel's codebook to the next one's: 0 with one for all */
    int32_t blocks;     /* of a group */
    int32_t words;      /* of a decoded group */
    int32_t slots;      /* pairs of windows that are gathered before the products, where they are */
} pr_packed;
#define PR_GROUP_WORDS 9

/* Decodes a group into what pr_mm42 takes, with `before` of the other words ahead of the weights; the next group. */
static const uint32_t *pr_group(const pr_packed *c, uint32_t *to, const uint32_t *from, int32_t before)
{
    const uint32_t *codes = from + PR_GROUP_WORDS;
    int32_t after = PR_GROUP_WORDS - before;
    memcpy(to, from, 4 * (size_t)before);
    memcpy(to + c->words - after, from + before, 4 * (size_t)after);
    return c->decode(to + before, codes + c->step, c->step ? (const int8_t *)codes : c->book, c->step, c->blocks);
}
