/* Blocks of PR_COUNT weights in prefix codes: the table's first number is the mask of the bits to look at, and each other
 * has a weight above how many of the bits are its own. A look takes in 25 bits, two codes. The next group begins with a
 * word. */
#define PR_LOOK                                                                                     \
    b = (const uint8_t *)codes + (at >> 3);                                                         \
    held = (b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24) >> (at & 7);
#define PR_NEXT(weight)                  \
    entry = table[held & mask];          \
    held >>= entry & 15, at += entry & 15; \
    int32_t weight = entry >> 8;
static const uint32_t *pr_decode_prefix(
    uint32_t *to, const uint32_t *codes, const int8_t *book, int32_t step, int32_t blocks)
{
    const int16_t *table = (const int16_t *)(const void *)book;
    uint32_t mask = (uint32_t)*table++, at = 0, held;
    (void)step;
    for (blocks *= PR_COUNT / 4; blocks > 0; blocks--) {
        const uint8_t *b;
        int32_t entry;
        PR_LOOK
        PR_NEXT(w0)
        PR_NEXT(w1)
        PR_LOOK
        PR_NEXT(w2)
        PR_NEXT(w3)
        *to++ = PR_LAST;
    }
    return codes + ((at + 31) >> 5);
}
#undef PR_LOOK
#undef PR_NEXT
