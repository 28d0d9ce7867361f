/* (a * b + 2^31) >> 32 */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
static inline int32_t pr_mulhr(int32_t a, int32_t b)
{
    int32_t h;
    __asm__("smmulr %0, %1, %2" : "=r"(h) : "r"(a), "r"(b));
    return h;
}
#else
static inline int32_t pr_mulhr(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + 0x80000000LL) >> 32);
}
#endif
#define PR_MULHR(a, b) pr_mulhr(a, b)
