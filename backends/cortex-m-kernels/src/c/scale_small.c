/* The same for numbers of at most 17 bits. */
static inline int32_t pr_scale_small(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift > 14) {
        return pr_scale_any(x, multiplier, shift);
    }
    int32_t right = shift < 0 ? -shift : 0;
    int32_t h = (int32_t)(((int64_t)(x * (1 << (shift > 0 ? shift : 0))) * multiplier + (1 << 30)) >> 31);
    return right ? (h + (1 << (right - 1)) - (h < 0)) >> right : h;
}
