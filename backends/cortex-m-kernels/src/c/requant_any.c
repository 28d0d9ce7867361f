/* acc * multiplier * 2^(shift - 31) with gemmlowp's two roundings, for every shift. */
static int32_t pr_scale_any(int32_t acc, int32_t multiplier, int32_t shift)
{
    int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    int64_t wide = (int64_t)acc * ((int64_t)1 << left);
    if (wide > INT32_MAX) {
        wide = INT32_MAX;
    } else if (wide < INT32_MIN) {
        wide = INT32_MIN;
    }
    int32_t h = (int32_t)((wide * multiplier + (1 << 30)) >> 31);
    if (right == 0) {
        return h;
    }
    int64_t sum = (int64_t)h + ((int64_t)1 << (right - 1)) - (h < 0);
    return (int32_t)(sum >> right);
}
