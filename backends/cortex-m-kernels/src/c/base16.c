static inline int32_t pr_sat16(int32_t x)
{
    return x < -32768 ? -32768 : x > 32767 ? 32767 : x;
}

/* A sum of 16-bit products to int16 or int8: times multiplier * 2^-shift, rounded once, ties upward. */
static inline int32_t pr_scale16(
    int64_t sum, int32_t multiplier, int32_t shift, int32_t zero, int32_t low, int32_t high)
{
    int64_t scaled = ((sum * multiplier + ((int64_t)1 << (shift - 1))) >> shift) + zero;
    return scaled < low ? low : scaled > high ? high : (int32_t)scaled;
}
