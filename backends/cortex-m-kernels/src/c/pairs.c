/* Codes of a palette of 16: a byte names a pair of weights, and the table holds all pairs, 256 words;
 * gives the table's end. */
static int32_t *pr_pairs(int32_t *table, const uint32_t *book)
{
    const int8_t *values = (const int8_t *)book;
    for (int32_t i = 0; i < 16; i++) {
        for (int32_t j = 0; j < 16; j++) {
            *table++ = (int32_t)((uint32_t)(values[j] & 0xffff) | (uint32_t)values[i] << 16);
        }
    }
    return table;
}
