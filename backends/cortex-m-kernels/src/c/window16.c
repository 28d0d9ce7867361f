/* A convolution of 16-bit inputs. */
typedef struct {
    const int8_t *weights; /* out_c x k_h x k_w x group_in; of a depthwise one k_h x k_w x out_c */
    const int64_t *bias;
    const int32_t *multipliers; /* multiplier and shift of each output channel */
    int32_t in_h, in_w, in_c, out_h, out_w, out_c, group_in, group_out;
    int16_t k_h, k_w, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
    int32_t zero, low, high;
} pr_window16;

/* The taps of a window that are inside the image: rows of runs of n inputs, and the steps between them. */
typedef struct {
    int32_t rows, runs, n, row, run, w_row, w_run;
} pr_taps16;

/* Taps first to end of those at, at + dilation, ... are inside. */
static inline void pr_inside16(int32_t at, int32_t dilation, int32_t taps, int32_t size, int32_t *first, int32_t *end)
{
    int32_t most = at < size ? (size - at + dilation - 1) / dilation : 0;
    *first = at < 0 ? (dilation - 1 - at) / dilation : 0;
    *end = taps < most ? taps : most;
}

/* An output: the sum times multiplier * 2^-shift, rounded once, ties upward. */
static int16_t pr_scale16(int64_t sum, const int32_t *by, const pr_window16 *c)
{
    int64_t twice = (sum * by[0]) >> (by[1] - 1);
    int32_t high = (int32_t)(twice >> 32), x = (int32_t)twice;
    x = high == x >> 31 ? x : high >> 31 ^ INT32_MAX;
    x = (x >> 1) + (x & 1) + c->zero;
    return (int16_t)(x < c->low ? c->low : x > c->high ? c->high : x);
}
