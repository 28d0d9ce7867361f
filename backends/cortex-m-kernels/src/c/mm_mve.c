/* Two pixels' columns, each m->bytes long (a multiple of 16), by all output channels, four at a
 * time. A group of the weight stream holds, for each 16 inputs, 16 bytes of each of four channels; then 4
 * biases, 4 multipliers and 4 right shifts (a byte each, negative). Past the last channel
 * weights are zero and nothing is stored. m->groups counts channels here.
 *
 * Sums of the first pixel in r0, r2, r4, r6, of the second in r8, r10, r12, lr. On the stack:
 * columns, second column, rounds of the unrolled loop, its entry, zero, channels left, stride. */
#ifdef PR_HELIUM
#define PR_BLOCK(op)              \
    "vldrb.8 q0, [r3], #16\n\t"   \
    "vldrb.8 q1, [r5], #16\n\t"   \
    "vldrb.8 q2, [r1], #16\n\t"   \
    "vldrb.8 q3, [r1], #16\n\t"   \
    op " r0, q2, q0\n\t"          \
    op " r8, q2, q1\n\t"          \
    op " r2, q3, q0\n\t"          \
    op " r10, q3, q1\n\t"         \
    "vldrb.8 q2, [r1], #16\n\t"   \
    "vldrb.8 q3, [r1], #16\n\t"   \
    op " r4, q2, q0\n\t"          \
    op " r12, q2, q1\n\t"         \
    op " r6, q3, q0\n\t"          \
    op " lr, q3, q1\n\t"
/* Ties of the shift go away from zero by taking 1 from negative numbers; where the output's zero point is
 * -128 those saturate however they round. */
#define PR_TIES                  \
    "vshr.s32 q2, q0, #31\n\t"   \
    "vshr.s32 q3, q1, #31\n\t"   \
    "vadd.i32 q0, q0, q2\n\t"    \
    "vadd.i32 q1, q1, q3\n\t"
#define PR_MM42(ties)                \
    "push {r4-r11, lr}\n\t"          \
    "ldm r3, {r4-r7}\n\t"            \
    "sub sp, sp, #60\n\t"            \
    "add r3, r0, r4\n\t"             \
    "lsr r4, r4, #4\n\t"             \
    "subs r4, r4, #1\n\t"            \
    "add r8, r4, #3\n\t"             \
    "lsr r8, r8, #2\n\t"             \
    "rsb r10, r4, r8, lsl #2\n\t"    \
    "mov r11, #56\n\t"               \
    "mul r10, r10, r11\n\t"          \
    "adr.w r11, 2f\n\t"              \
    "add r10, r10, r11\n\t"          \
    "cbnz r4, 5f\n\t"                \
    "adr.w r10, 3f\n"                \
    "5:\n\t"                         \
    "orr r10, r10, #1\n\t"           \
    "asr r7, r7, #1\n\t"             \
    "strd r0, r3, [sp]\n\t"          \
    "strd r8, r10, [sp, #8]\n\t"     \
    "strd r7, r5, [sp, #16]\n\t"     \
    "mov r7, r2\n\t"                 \
    "str r6, [sp, #24]\n"            \
    "1:\n\t"                         \
    "ldrd r3, r5, [sp]\n\t"          \
    "ldrd r9, r11, [sp, #8]\n\t"     \
    PR_BLOCK("vmladav.s8")           \
    "bx r11\n\t"                     \
    ".balign 4\n"                    \
    "2:\n\t"                         \
    ".rept 4\n\t"                    \
    PR_BLOCK("vmladava.s8")          \
    ".endr\n\t"                      \
    "subs r9, r9, #1\n\t"            \
    "bne.w 2b\n"                     \
    ".balign 4\n"                    \
    "3:\n\t"                         \
    "vldrw.32 q2, [r1], #16\n\t"     \
    "vldrw.32 q3, [r1], #16\n\t"     \
    "add r3, sp, #28\n\t"            \
    "stm r3, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"\
    "vldrw.32 q0, [r3]\n\t"          \
    "vldrw.32 q1, [r3, #16]\n\t"     \
    "vadd.i32 q0, q0, q2\n\t"        \
    "vadd.i32 q1, q1, q2\n\t"        \
    "vqrdmulh.s32 q0, q0, q3\n\t"    \
    "vqrdmulh.s32 q1, q1, q3\n\t"    \
    ties                             \
    "vldrb.s32 q3, [r1], #4\n\t"     \
    "ldrd r0, r2, [sp, #16]\n\t"     \
    "ldr r4, [sp, #24]\n\t"          \
    "vrshl.s32 q0, q0, q3\n\t"       \
    "vrshl.s32 q1, q1, q3\n\t"       \
    "vadd.i32 q0, q0, r0\n\t"        \
    "vadd.i32 q1, q1, r0\n\t"        \
    "vqmovnb.s32 q0, q0\n\t"         \
    "vqmovnb.s32 q1, q1\n\t"         \
    "add r4, r4, r7\n\t"             \
    "vqmovnb.s16 q0, q0\n\t"         \
    "vqmovnb.s16 q1, q1\n\t"         \
    "vctp.32 r2\n\t"                 \
    "vpstt\n\t"                      \
    "vstrbt.32 q0, [r7], #4\n\t"     \
    "vstrbt.32 q1, [r4]\n\t"         \
    "subs r2, r2, #4\n\t"            \
    "str r2, [sp, #20]\n\t"          \
    "bgt.w 1b\n\t"                   \
    "add sp, sp, #60\n\t"            \
    "pop {r4-r11, pc}"
#else
static void pr_mm42(const int32_t *columns, const uint32_t *stream, int8_t *out, const pr_mm *m)
{
    const int8_t *w = (const int8_t *)stream;
    for (int32_t channel = 0; channel < m->groups; channel += 4) {
        const int8_t *tail = w + 4 * m->bytes;
        for (int32_t i = 0; i < 4 && channel + i < m->groups; i++) {
            int32_t bias, multiplier;
            memcpy(&bias, tail + 4 * i, 4);
            memcpy(&multiplier, tail + 16 + 4 * i, 4);
            for (int32_t p = 0; p < 2; p++) {
                const int8_t *x = (const int8_t *)columns + p * m->bytes;
                int32_t acc = bias;
                for (int32_t k = 0; k < m->bytes; k++) {
                    acc += x[k] * w[(k / 16 * 4 + i) * 16 + k % 16];
                }
                out[p * m->stride + channel + i] = (int8_t)pr_requant(acc, multiplier, (uint32_t)(-tail[32 + i] - 1), m->zero);
            }
        }
        w = tail + 36;
    }
}
#define pr_mm42_relu pr_mm42
#endif
