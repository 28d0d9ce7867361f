/* The mean of every channel's n numbers; zero is the sum that n zeros make. */
static void pr_mean(
    const int8_t *in, int8_t *out, int32_t n, int32_t channels, int32_t zero, int32_t multiplier, int32_t shift,
    int32_t to_zero)
{
    for (int32_t i = 0; i < channels; i++) {
        const int8_t *from = in + i;
        int32_t sum = -zero;
        for (int32_t x = n; x > 0; x--, from += channels) {
            sum += *from;
        }
        *out++ = (int8_t)pr_sat8(pr_scale_any(sum, multiplier, shift) + to_zero);
    }
}
