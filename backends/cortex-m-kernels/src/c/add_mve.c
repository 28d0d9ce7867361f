#ifdef PR_HELIUM
/* One operand of an addition: (x + offset) * 2^20 * multiplier, rounded twice. */
static inline int32x4_t pr_add_term4(const int8_t *x, int32_t step, int32_t offset, int32_t multiplier, int32_t shift)
{
    int32x4_t v = step ? vldrbq_s32(x) : vdupq_n_s32(*x);
    v = vaddq_n_s32(v, offset);
    if (multiplier == 1 << 30 && shift == 0) {
        return vshlq_n_s32(v, 19);
    }
    v = vqrdmulhq_n_s32(vshlq_n_s32(v, 20), multiplier);
    return shift > 0 ? vrshlq_n_s32(vaddq_s32(v, vshrq_n_s32(v, 31)), -shift) : v;
}
#endif

static inline __attribute__((always_inline)) void pr_add(
    const int8_t *a, int32_t step_a, const int8_t *b, int32_t step_b, int8_t *out, int32_t n, int32_t sign,
    int32_t offset_a, int32_t multiplier_a, int32_t shift_a, int32_t offset_b, int32_t multiplier_b, int32_t shift_b,
    int32_t multiplier, int32_t shift, int32_t zero, int32_t low, int32_t high)
{
#ifdef PR_HELIUM
    for (; n >= 4; n -= 4, a += 4 * step_a, b += 4 * step_b, out += 4) {
        int32x4_t x = pr_add_term4(a, step_a, offset_a, multiplier_a, shift_a);
        int32x4_t y = pr_add_term4(b, step_b, offset_b, multiplier_b, shift_b);
        int32x4_t h = vqrdmulhq_n_s32(sign > 0 ? vaddq_s32(x, y) : vsubq_s32(x, y), multiplier);
        if (shift > 0) {
            h = vrshlq_n_s32(vaddq_s32(h, vshrq_n_s32(h, 31)), -shift);
        }
        h = vaddq_n_s32(h, zero);
        h = vminq_s32(vmaxq_s32(h, vdupq_n_s32(low)), vdupq_n_s32(high));
        vstrbq_s32(out, h);
    }
#endif
    pr_add_rest(
        a, step_a, b, step_b, out, n, sign, offset_a, multiplier_a, shift_a, offset_b, multiplier_b, shift_b,
        multiplier, shift, zero, low, high);
}
