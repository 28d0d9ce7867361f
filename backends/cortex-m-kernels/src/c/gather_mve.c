/* Copies n values that are step bytes apart, and up to 3 more places are written. */
static inline void pr_gather(int8_t *to, const int8_t *from, int32_t step, int32_t n)
{
#ifdef PR_HELIUM
    uint32x4_t lanes = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)step);
    for (; n > 0; n -= 4, to += 4, from += 4 * step) {
        mve_pred16_t some = vctp32q((uint32_t)n);
        vstrbq_p_s32(to, vldrbq_gather_offset_z_s32(from, lanes, some), some);
    }
#else
    for (; n > 0; n--, from += step) {
        *to++ = *from;
    }
#endif
}
#define PR_GATHER pr_gather
