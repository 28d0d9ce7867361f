/* Sums of four channels. */
#ifdef PR_HELIUM
typedef int32x4_t pr_quad16;

static inline pr_quad16 pr_none16(void)
{
    return vdupq_n_s32(0);
}

/* Adds the products of a run of n taps. */
static inline pr_quad16 pr_run16(
    pr_quad16 s, const int16_t *x, const int8_t *w, int32_t run, int32_t w_run, int32_t n)
{
    for (; n > 0; n--, x += run, w += w_run) {
        s = vaddq_s32(s, vmulq_s32(vldrhq_s32(x), vldrbq_s32(w)));
    }
    return s;
}

static inline void pr_put16(int32_t *sums, pr_quad16 s)
{
    vst1q_s32(sums, s);
}
#else
PR_PLAIN
#endif
