/* Narrows int8 values to low..high, in place. */
static void pr_clamp(int8_t *x, int32_t n, int32_t low, int32_t high)
{
    for (; n > 0; n--, x++) {
        int32_t v = *x;
        *x = (int8_t)(v < low ? low : v > high ? high : v);
    }
}
