/* Copies rows of n values that are step bytes apart; rows are line bytes apart, their places pitch. */
static void pr_gather(
    int8_t *to, const int8_t *from, int32_t step, int32_t n, int32_t rows, int32_t pitch, int32_t line)
{
    for (; rows > 0; rows--, to += pitch - n, from += line - n * step) {
        int32_t left = n;
        for (; left >= 4; left -= 4, to += 4) {
            const int8_t *third = from + 2 * step;
            to[0] = from[0];
            to[1] = from[step];
            to[2] = third[0];
            to[3] = third[step];
            from = third + 2 * step;
        }
        for (; left > 0; left--, from += step) {
            *to++ = *from;
        }
    }
}
