/* Adds to each sum the product of n inputs with the weights of one output; a row of weights begins `apart` bytes after
 * the one before. The sums of so few products fit 32 bits. */
#define PR_RUN16 508

PR_KEPT static void pr_products16(
    const int16_t *x, const int8_t *w, int32_t apart, int32_t n, int32_t rows, int64_t *sums)
{
    PR_FOUR_ROWS
    for (; rows > 0; rows--, w += apart) {
        int32_t acc = 0;
        for (int32_t i = 0; i < n; i++) {
            acc += x[i] * w[i];
        }
        *sums++ += acc;
    }
}
