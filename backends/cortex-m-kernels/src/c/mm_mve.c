/* Pixels' windows by all output channels, two by four at a time. A group of the weight stream holds, for
 * each 16 inputs, 16 bytes of each of four channels; then 4 biases, 4 multipliers and 4 shifts (a
 * byte each, negative ones to the right). Past the last channel weights are zero and nothing is stored.
 *
 * Sums of the first pixel in r0, r2, r4, r6, of the second in r8, r10, r12, lr; both pixels are narrowed
 * in one vector of 16-bit lanes that q4 scatters. On the stack: sums, first and second window,
 * rounds of the unrolled loop, its entry, channels left, stream,
 * twice the stride, step to the next two windows, outputs, step to the next two, pixels left. A last single pixel is
 * done twice. */
#ifdef PR_HELIUM
#define PR_BLOCK(op)              \
    "vldrb.8 q0, [r3], #16\n\t"   \
    "vldrb.8 q2, [r1], #16\n\t"   \
    op " r0, q2, q0\n\t"          \
    "vldrb.8 q1, [r5], #16\n\t"   \
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
/* Ties of the shift go away from zero by taking 1 from negative numbers; where the output's zero point is
 * -128 those saturate however they round. */
#ifdef PR_LEFT
/* Shifts of 0 and more go left, beforehand; what follows the multiplication is for the other channels. */
#define PR_MULTIPLIED            \
    "vadd.i32 q1, q1, q2\n\t"    \
    "vldrb.s32 q2, [r1]\n\t"     \
    "vcmp.s32 ge, q2, zr\n\t"    \
    "vpstt\n\t"                  \
    "vqshlt.s32 q0, q0, q2\n\t"  \
    "vqshlt.s32 q1, q1, q2\n\t"  \
    "vqrdmulh.s32 q0, q0, q3\n\t" \
    "vqrdmulh.s32 q1, q1, q3\n\t" \
    "vpnot\n\t"
#define PR_RIGHT_ONLY(op, a, b)  \
    "vpstt\n\t"                  \
    op "t.s32 q0, q0, " a "\n\t" \
    op "t.s32 q1, q1, " b "\n\t"
#else
#define PR_MULTIPLIED            \
    "vqrdmulh.s32 q0, q0, q3\n\t" \
    "vadd.i32 q1, q1, q2\n\t"    \
    "vqrdmulh.s32 q1, q1, q3\n\t"
#define PR_RIGHT_ONLY(op, a, b)  \
    op ".s32 q0, q0, " a "\n\t"  \
    op ".s32 q1, q1, " b "\n\t"
#endif
#define PR_TIES                  \
    "vshr.s32 q2, q0, #31\n\t"   \
    "vshr.s32 q3, q1, #31\n\t"   \
    PR_RIGHT_ONLY("vqadd", "q2", "q3")
/* Every block of 16 inputs, unrolled by four after the first. */
#define PR_DENSE_BEGIN               \
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
    "strd r8, r10, [sp, #40]\n\t"
#define PR_DENSE_BLOCKS              \
    "ldrd r9, r11, [sp, #40]\n\t"    \
    PR_BLOCK("vmladav.s8")           \
    "bx r11\n\t"                     \
    ".balign 4\n"                    \
    "2:\n\t"                         \
    ".rept 4\n\t"                    \
    PR_BLOCK("vmladava.s8")          \
    ".endr\n\t"                      \
    "subs r9, r9, #1\n\t"            \
    "bne.w 2b\n"
/* begin sets up what products, which end before label 3, need of r4, the bytes of a window. */
#define PR_MM42(begin, products, ties) \
    "push {r4-r11, lr}\n\t"          \
    "vpush {d8-d11}\n\t"             \
    "sub sp, sp, #76\n\t"            \
    "ldm r3, {r4-r9}\n\t"            \
    "sub r0, r0, r7, lsl #1\n\t"     \
    "add r10, r0, r7\n\t"            \
    "strd r0, r10, [sp, #32]\n\t"    \
    "strd r1, r5, [sp, #52]\n\t"     \
    "sub r2, r2, r9, lsl #1\n\t"     \
    "lsl r7, r7, #1\n\t"             \
    "strd r7, r2, [sp, #60]\n\t"     \
    "add r8, r8, #2\n\t"             \
    "lsl r10, r9, #1\n\t"            \
    "strd r10, r8, [sp, #68]\n\t"    \
    begin                            \
    "asr r6, r6, #1\n\t"             \
    "vdup.16 q5, r6\n\t"             \
    "movs r4, #0\n\t"                \
    "vidup.u32 q4, r4, #1\n\t"       \
    "mov r4, #0x10001\n\t"           \
    "vmul.i32 q4, q4, r4\n\t"        \
    "lsls r5, r9, #16\n\t"           \
    "vadd.i32 q4, q4, r5\n"          \
    "0:\n\t"                         \
    "ldrd r7, r9, [sp, #68]\n\t"     \
    "subs r9, r9, #2\n\t"            \
    "ble.w 9f\n\t"                   \
    "str r9, [sp, #72]\n\t"          \
    "ldrd r11, r0, [sp, #60]\n\t"    \
    "ldrd r3, r5, [sp, #32]\n\t"     \
    "add r7, r7, r0\n\t"             \
    "str r7, [sp, #64]\n\t"          \
    "add r3, r3, r11\n\t"            \
    "add r5, r5, r11\n\t"            \
    "cmp r9, #1\n\t"                 \
    "bne 6f\n\t"                     \
    "mov r5, r3\n\t"                 \
    "vshl.i32 q0, q4, #16\n\t"       \
    "vshr.u32 q1, q0, #16\n\t"       \
    "vorr q4, q0, q1\n"              \
    "6:\n\t"                         \
    "strd r3, r5, [sp, #32]\n\t"     \
    "ldrd r1, r2, [sp, #52]\n\t"     \
    "str r2, [sp, #48]\n\t"          \
    "b 4f\n"                         \
    "1:\n\t"                         \
    "ldrd r3, r5, [sp, #32]\n"       \
    "4:\n\t"                         \
    products                         \
    ".balign 4\n"                    \
    "3:\n\t"                         \
    "vldrw.32 q2, [r1], #16\n\t"     \
    "stm sp, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"\
    "vldrw.32 q3, [r1], #16\n\t"     \
    "vldrw.32 q0, [sp]\n\t"          \
    "vadd.i32 q0, q0, q2\n\t"        \
    "vldrw.32 q1, [sp, #16]\n\t"     \
    PR_MULTIPLIED                    \
    ties                             \
    "vldrb.s32 q3, [r1], #4\n\t"     \
    PR_RIGHT_ONLY("vrshl", "q3", "q3") \
    "vqmovnb.s32 q0, q0\n\t"         \
    "ldr r2, [sp, #48]\n\t"          \
    "vqmovnt.s32 q0, q1\n\t"         \
    "vctp.32 r2\n\t"                 \
    "vqadd.s16 q0, q0, q5\n\t"       \
    "subs r2, r2, #4\n\t"            \
    "vqmovnb.s16 q0, q0\n\t"         \
    "str r2, [sp, #48]\n\t"          \
    "vpst\n\t"                       \
    "vstrbt.16 q0, [r7, q4]\n\t"     \
    "add r7, r7, #4\n\t"             \
    "bgt.w 1b\n\t"                   \
    "b 0b\n"                         \
    "9:\n\t"                         \
    "add sp, sp, #76\n\t"            \
    "vpop {d8-d11}\n\t"              \
    "pop {r4-r11, pc}"
#endif
