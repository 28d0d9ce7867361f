/* Compiled once as it stands, however often it is called. */
#if defined(__GNUC__) && !defined(__clang__)
#define PR_KEPT __attribute__((noipa))
#else
#define PR_KEPT
#endif

static inline int32_t pr_sat16(int32_t x)
{
    return x < -32768 ? -32768 : x > 32767 ? 32767 : x;
}
