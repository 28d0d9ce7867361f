/* Interleaves 4n bytes of two windows: a0 b0 a1 b1 ... */
PR_APART static int32_t *pr_pack(int32_t *columns, const int8_t *a, const int8_t *b, int32_t n)
{
    int8_t *to = (int8_t *)columns;
    for (n *= 4; n > 0; n--) {
        *to++ = *a++;
        *to++ = *b++;
    }
    return (int32_t *)to;
}
