/* A fully connected layer with one multiplier: eight outputs at a time. A group of the stream holds,
 * for each 16 inputs, 16 bytes of each of eight outputs, then 8 biases. */
typedef struct {
    const uint32_t *weights;
    int32_t blocks; /* of 16 inputs */
    int32_t outputs;
    int32_t multiplier, shift, zero; /* the right shift negative */
} pr_dense;

#ifdef PR_HELIUM
#define PR_DENSE_BLOCK             \
    "vldrb.8 q0, [r3], #16\n\t"    \
    "vldrb.8 q1, [r1], #16\n\t"    \
    "vldrb.8 q2, [r1], #16\n\t"    \
    "vldrb.8 q3, [r1], #16\n\t"    \
    "vmladava.s8 r0, q1, q0\n\t"   \
    "vldrb.8 q1, [r1], #16\n\t"    \
    "vmladava.s8 r2, q2, q0\n\t"   \
    "vldrb.8 q2, [r1], #16\n\t"    \
    "vmladava.s8 r4, q3, q0\n\t"   \
    "vldrb.8 q3, [r1], #16\n\t"    \
    "vmladava.s8 r6, q1, q0\n\t"   \
    "vldrb.8 q1, [r1], #16\n\t"    \
    "vmladava.s8 r8, q2, q0\n\t"   \
    "vldrb.8 q2, [r1], #16\n\t"    \
    "vmladava.s8 r10, q3, q0\n\t"  \
    "vmladava.s8 r12, q1, q0\n\t"  \
    "vmladava.s8 lr, q2, q0\n\t"
__attribute__((naked, noinline)) static void pr_dense8(const pr_dense *c, const int8_t *in, int8_t *out)
{
    (void)c, (void)in, (void)out;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "ldm r0, {r3-r8}\n\t"
        "sub sp, sp, #60\n\t"
        "strd r1, r4, [sp]\n\t"
        "strd r6, r7, [sp, #8]\n\t"
        "mov r7, r2\n\t"
        "strd r8, r5, [sp, #16]\n\t"
        "mov r1, r3\n"
        "1:\n\t"
        "movs r0, #0\n\t"
        "movs r2, #0\n\t"
        "movs r4, #0\n\t"
        "movs r6, #0\n\t"
        "mov r8, r0\n\t"
        "mov r10, r0\n\t"
        "mov r12, r0\n\t"
        "mov lr, r0\n\t"
        "ldrd r3, r5, [sp]\n\t"
        "lsrs r5, r5, #1\n\t"
        "bcc 2f\n\t"
        PR_DENSE_BLOCK
        "cmp r5, #0\n\t"
        "beq.w 3f\n"
        "2:\n\t"
        PR_DENSE_BLOCK
        PR_DENSE_BLOCK
        "subs r5, r5, #1\n\t"
        "bne 2b\n"
        "3:\n\t"
        "add r3, sp, #28\n\t"
        "stm r3, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"
        "vldrw.32 q0, [r3]\n\t"
        "vldrw.32 q1, [r3, #16]\n\t"
        "vldrw.32 q2, [r1], #16\n\t"
        "vldrw.32 q3, [r1], #16\n\t"
        "ldrd r0, r2, [sp, #8]\n\t"
        "vadd.i32 q0, q0, q2\n\t"
        "vadd.i32 q1, q1, q3\n\t"
        "ldrd r4, r6, [sp, #16]\n\t"
        "vqrdmulh.s32 q0, q0, r0\n\t"
        "vqrdmulh.s32 q1, q1, r0\n\t"
        "vshr.s32 q2, q0, #31\n\t"
        "vshr.s32 q3, q1, #31\n\t"
        "vadd.i32 q0, q0, q2\n\t"
        "vadd.i32 q1, q1, q3\n\t"
        "vrshl.s32 q0, r2\n\t"
        "vrshl.s32 q1, r2\n\t"
        "vadd.i32 q0, q0, r4\n\t"
        "vadd.i32 q1, q1, r4\n\t"
        "vqmovnb.s32 q0, q0\n\t"
        "vqmovnb.s32 q1, q1\n\t"
        "vqmovnb.s16 q0, q0\n\t"
        "vqmovnb.s16 q1, q1\n\t"
        "vctp.32 r6\n\t"
        "vpst\n\t"
        "vstrbt.32 q0, [r7], #4\n\t"
        "subs r6, r6, #4\n\t"
        "ble 4f\n\t"
        "vctp.32 r6\n\t"
        "vpst\n\t"
        "vstrbt.32 q1, [r7], #4\n\t"
        "subs r6, r6, #4\n\t"
        "str r6, [sp, #20]\n\t"
        "bgt.w 1b\n"
        "4:\n\t"
        "add sp, sp, #60\n\t"
        "pop {r4-r11, pc}");
}
#else
static void pr_dense8(const pr_dense *c, const int8_t *in, int8_t *out)
{
    const int8_t *w = (const int8_t *)c->weights;
    for (int32_t o = 0; o < c->outputs; o += 8) {
        const int8_t *tail = w + 128 * c->blocks;
        for (int32_t i = 0; i < 8 && o + i < c->outputs; i++) {
            int32_t acc;
            memcpy(&acc, tail + 4 * i, 4);
            for (int32_t k = 0; k < 16 * c->blocks; k++) {
                int32_t weight = w[(k / 16 * 8 + i) * 16 + k % 16];
                acc += weight ? in[k] * weight : 0;
            }
            *out++ = (int8_t)pr_requant(acc, c->multiplier, (uint32_t)(-c->shift - 1), 2 * c->zero + 1);
        }
        w = tail + 32;
    }
}
#endif
