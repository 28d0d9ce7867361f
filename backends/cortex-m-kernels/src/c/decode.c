/* Blocks of four inputs by four channels: 16 codes of PR_BITS bits, without gaps. */
static const uint32_t *pr_decode_PR_BITS(
    uint32_t *to, const uint32_t *codes, const int8_t *book, int32_t step, int32_t blocks)
{
    const uint16_t *h = (const uint16_t *)codes;
    const int8_t *b0 = book, *b1 = b0 + step, *b2 = b1 + step, *b3 = b2 + step;
    for (; blocks > 0; blocks--, h += PR_BITS) {
        PR_LOADS
        PR_WORDS
    }
    return codes + ((h - (const uint16_t *)codes + 1) >> 1);
}
