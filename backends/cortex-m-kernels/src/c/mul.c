/* A quantized product. A step of 0 repeats an operand. */
static void pr_mul(
    const int8_t *a, int32_t step_a, const int8_t *b, int32_t step_b, int8_t *out, int32_t n,
    int32_t offset_a, int32_t offset_b, int32_t multiplier, int32_t shift, int32_t zero, int32_t low, int32_t high)
{
    for (; n > 0; n--) {
        int32_t v = pr_scale_any((*a + offset_a) * (*b + offset_b), multiplier, shift) + zero;
        *out++ = (int8_t)(v < low ? low : v > high ? high : v);
        a += step_a;
        b += step_b;
    }
}
