#if defined(__ARM_FEATURE_MVE) && defined(__GNUC__)
#include <arm_mve.h>
#define PR_HELIUM 1
#endif

/* Copies n bytes, and up to 15 more so that whole vectors move. */
static inline int8_t *pr_row(int8_t *to, const int8_t *from, int32_t n)
{
#ifdef PR_HELIUM
    for (int32_t i = 0; i < n; i += 16) {
        vstrbq_s8(to + i, vldrbq_s8(from + i));
    }
#else
    memmove(to, from, (size_t)n);
#endif
    return to + n;
}
