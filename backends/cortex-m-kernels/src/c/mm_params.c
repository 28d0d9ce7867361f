/* What a function takes shall not depend on who else calls it where the compiler makes all of it. */
#if defined(__GNUC__) && !defined(__clang__) && !defined(__ARM_FEATURE_DSP)
#define PR_APART __attribute__((noinline, noclone))
#else
#define PR_APART
#endif

/* A product of a column pair (two pixels' windows) with groups of four output channels. */
typedef struct {
    int32_t bytes;  /* of a column pair */
    int32_t groups; /* of four output channels */
    int32_t stride; /* from the first pixel's outputs to the second's */
    int32_t zero;   /* 2 * output zero point + 1; for pr_mm42_relu what its lines begin with */
} pr_mm;
