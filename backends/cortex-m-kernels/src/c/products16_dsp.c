/* Adds to each sum the product of n inputs with the weights of one output; a row of weights begins `apart` bytes after
 * the one before. The sums of so few products fit 32 bits. */
#define PR_RUN16 508

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
static inline int32_t pr_four16(uint32_t even, uint32_t odd, const int8_t *w, int32_t acc)
{
    uint32_t all, some;
    memcpy(&all, w, 4);
    __asm__("sxtb16 %0, %1" : "=r"(some) : "r"(all));
    __asm__("smlad %0, %1, %2, %0" : "+r"(acc) : "r"(even), "r"(some));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(some) : "r"(all));
    __asm__("smlad %0, %1, %2, %0" : "+r"(acc) : "r"(odd), "r"(some));
    return acc;
}
#else
static inline int32_t pr_four16(uint32_t even, uint32_t odd, const int8_t *w, int32_t acc)
{
    acc += (int16_t)even * w[0] + (int16_t)odd * w[1];
    return acc + (int16_t)(even >> 16) * w[2] + (int16_t)(odd >> 16) * w[3];
}
#endif

static void pr_products16(const int16_t *x, const int8_t *w, int32_t apart, int32_t n, int32_t rows, int64_t *sums)
{
    if (rows == 4) {
        const int8_t *w1 = w + apart, *w2 = w1 + apart, *w3 = w2 + apart;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (; n >= 4; n -= 4, x += 4, w += 4, w1 += 4, w2 += 4, w3 += 4) {
            uint32_t first, second;
            memcpy(&first, x, 4);
            memcpy(&second, x + 2, 4);
            uint32_t even = (first & 0xffff) | second << 16, odd = first >> 16 | (second & 0xffff0000);
            a = pr_four16(even, odd, w, a);
            b = pr_four16(even, odd, w1, b);
            c = pr_four16(even, odd, w2, c);
            d = pr_four16(even, odd, w3, d);
        }
        for (; n > 0; n--, x++) {
            a += *x * *w++;
            b += *x * *w1++;
            c += *x * *w2++;
            d += *x * *w3++;
        }
        sums[0] += a;
        sums[1] += b;
        sums[2] += c;
        sums[3] += d;
        return;
    }
    for (; rows > 0; rows--, w += apart) {
        int32_t acc = 0;
        for (int32_t i = 0; i < n; i++) {
            acc += x[i] * w[i];
        }
        *sums++ += acc;
    }
}
