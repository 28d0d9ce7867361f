/* A 1x1 convolution: every pixel's channels are its window. */
typedef struct {
    const uint32_t *weights; /* stream of pr_mm42 */
    int32_t pixels, in_c, out_c;
    int32_t bytes, zero; /* as in pr_mm */
} pr_point;
