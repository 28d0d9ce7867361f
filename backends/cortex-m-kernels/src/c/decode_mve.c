/* Blocks of 16 inputs by four channels, in planes of PR_BITS bits: of 4, where there are, 16 bytes for two channels each,
 * of 2 16 bytes for all, of 1 8 bytes: bits 0 to 3 of the first 8 inputs, 4 to 7 of the others. */
#ifdef PR_HELIUM
__attribute__((naked, noinline)) static const uint32_t *pr_decode_PR_BITS(
    uint32_t *to, const uint32_t *codes, const int8_t *book, int32_t step, int32_t blocks)
{
    (void)to, (void)codes, (void)book, (void)step, (void)blocks;
    __asm__ volatile(
        PR_DECODE
    );
}
#else
static const uint32_t *pr_decode_PR_BITS(
    uint32_t *to, const uint32_t *codes, const int8_t *book, int32_t step, int32_t blocks)
{
    const uint8_t *c = (const uint8_t *)codes;
    int8_t *w = (int8_t *)to;
    for (; blocks > 0; blocks--, w += 64) {
        int32_t code[64] = {0}, have = 0;
        if (PR_BITS & 4) {
            for (int32_t i = 0; i < 64; i++) {
                code[i] = c[i / 32 * 16 + i % 16] >> i / 16 % 2 * 4 & 15;
            }
            have = 4;
            c += 32;
        }
        if (PR_BITS & 2) {
            for (int32_t i = 0; i < 64; i++) {
                code[i] |= (c[i % 16] >> i / 16 * 2 & 3) << have;
            }
            have += 2;
            c += 16;
        }
        if (PR_BITS & 1) {
            for (int32_t i = 0; i < 64; i++) {
                code[i] |= (c[i % 8] >> (i / 16 + i % 16 / 8 * 4) & 1) << have;
            }
            c += 8;
        }
        for (int32_t i = 0; i < 64; i++) {
            w[i] = book[i / 16 * step + code[i]];
        }
    }
    return (const uint32_t *)c;
}
#endif
