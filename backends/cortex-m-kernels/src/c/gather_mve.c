/* Copies rows of n values that are step bytes apart; rows are line bytes apart, their places pitch. */
static void pr_gather(
    int8_t *to, const int8_t *from, int32_t step, int32_t n, int32_t rows, int32_t pitch, int32_t line)
{
    for (; rows > 0; rows--, to += pitch, from += line) {
#ifdef PR_HELIUM
        uint32x4_t places = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)step);
        for (int32_t i = 0; i < n; i += 4) {
            mve_pred16_t p = vctp32q((uint32_t)(n - i));
            vstrbq_p_s32(to + i, vldrbq_gather_offset_z_s32(from + i * step, places, p), p);
        }
#else
        for (int32_t i = 0; i < n; i++) {
            to[i] = from[i * step];
        }
#endif
    }
}
