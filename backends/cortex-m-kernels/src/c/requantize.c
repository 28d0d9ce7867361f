/* From one scale and zero point to another. */
static void pr_requantize(
    const int8_t *in, int8_t *out, int32_t n, int32_t from_zero, int32_t multiplier, int32_t shift, int32_t to_zero)
{
    for (; n > 0; n--) {
        *out++ = (int8_t)pr_sat8(pr_scale_any(*in++ - from_zero, multiplier, shift) + to_zero);
    }
}
