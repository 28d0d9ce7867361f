/* The product with the blocks of four inputs by four channels that are not zero, four blocks at a time: a group begins
 * with how many fours it has, at least one; each has the places of its blocks' inputs in words, a byte each, and then
 * 16 bytes of each of the four channels. Windows begin at words. */
#ifdef PR_HELIUM
#define PR_GATHERED(op)           \
    "vldrb.u32 q3, [r1], #4\n\t"  \
    "vldrw.u32 q0, [r3, q3, uxtw #2]\n\t" \
    "vldrb.8 q2, [r1], #16\n\t"   \
    op " r0, q2, q0\n\t"          \
    "vldrw.u32 q1, [r5, q3, uxtw #2]\n\t" \
    op " r8, q2, q1\n\t"          \
    "vldrb.8 q3, [r1], #16\n\t"   \
    op " r2, q3, q0\n\t"          \
    "vldrb.8 q2, [r1], #16\n\t"   \
    op " r10, q3, q1\n\t"         \
    op " r4, q2, q0\n\t"          \
    "vldrb.8 q3, [r1], #16\n\t"   \
    op " r12, q2, q1\n\t"         \
    op " r6, q3, q0\n\t"          \
    op " lr, q3, q1\n\t"
#define PR_SPARSE_BLOCKS             \
    "ldr r9, [r1], #4\n\t"           \
    PR_GATHERED("vmladav.s8")        \
    "subs r9, r9, #1\n\t"            \
    "beq.w 3f\n"                     \
    "2:\n\t"                         \
    PR_GATHERED("vmladava.s8")       \
    "subs r9, r9, #1\n\t"            \
    "bne.w 2b\n"
__attribute__((naked, noinline)) static void pr_mm42_sparse(
    const int8_t *window, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    (void)window, (void)stream, (void)out, (void)m;
    __asm__ volatile(PR_MM42("", PR_SPARSE_BLOCKS, PR_TIES));
}
#else
static void pr_mm42_sparse(const int8_t *window, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    for (int32_t pixel = 0; pixel < m->pixels; pixel++) {
        const int8_t *w = (const int8_t *)stream, *x = window + pixel * m->apart;
        for (int32_t channel = 0; channel < m->channels; channel += 4) {
            int32_t fours, sums[4] = {0, 0, 0, 0};
            memcpy(&fours, w, 4);
            for (w += 4; fours > 0; fours--, w += 68) {
                for (int32_t i = 0; i < 64; i++) {
                    sums[i / 16] += w[4 + i] * x[4 * (uint8_t)w[i % 16 / 4] + i % 4];
                }
            }
            for (int32_t i = 0; i < 4 && channel + i < m->channels; i++) {
                int32_t bias, multiplier;
                memcpy(&bias, w + 4 * i, 4);
                memcpy(&multiplier, w + 16 + 4 * i, 4);
                int32_t by = w[32 + i], code = by < 0 ? -1 - by : 33 + by;
                int32_t scaled = PR_REQUANT(sums[i] + bias, multiplier, (uint32_t)code, m->zero);
                out[pixel * m->stride + channel + i] = (int8_t)scaled;
            }
            w += 36;
        }
    }
}
#endif
