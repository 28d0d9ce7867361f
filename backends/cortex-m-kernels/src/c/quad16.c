/* Sums of four channels. */
typedef struct {
    int32_t a, b, c, d;
} pr_quad16;

static inline pr_quad16 pr_none16(void)
{
    return (pr_quad16){0, 0, 0, 0};
}

/* Adds the products of a run of n taps. */
static inline pr_quad16 pr_run16(
    pr_quad16 s, const int16_t *x, const int8_t *w, int32_t run, int32_t w_run, int32_t n)
{
    PR_TAPS
    for (; n > 0; n--, x += run, w += w_run) {
        s.a += x[0] * w[0];
        s.b += x[1] * w[1];
        s.c += x[2] * w[2];
        s.d += x[3] * w[3];
    }
    return s;
}

static inline void pr_put16(int32_t *sums, pr_quad16 s)
{
    memcpy(sums, &s, 16);
}
