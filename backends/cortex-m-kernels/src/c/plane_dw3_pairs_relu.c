/* 3x3, stride 1, two rows of four outputs at a time, zero point -128; an odd last row is left. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
/* r0-r3 and r4-r7 sums, r8, r10 and r11 values, r12 and lr weights, r9 plane. On the stack the record and, from 72
 * on, columns left, out and what leads from the last row of the plane to the next columns of the first. */
#define PR_DW_UPPER                \
    "smlad r0, r8, r12, r0\n\t"    \
    "smlatb r1, r8, r12, r1\n\t"   \
    "smlad r2, r10, r12, r2\n\t"   \
    "smlatb r3, r10, r12, r3\n\t"  \
    "smlabt r0, r10, lr, r0\n\t"   \
    "smlad r1, r10, lr, r1\n\t"    \
    "smlabt r2, r11, lr, r2\n\t"   \
    "smlad r3, r11, lr, r3\n\t"
#define PR_DW_LOWER                \
    "smlad r4, r8, r12, r4\n\t"    \
    "smlatb r5, r8, r12, r5\n\t"   \
    "smlad r6, r10, r12, r6\n\t"   \
    "smlatb r7, r10, r12, r7\n\t"  \
    "smlabt r4, r10, lr, r4\n\t"   \
    "smlad r5, r10, lr, r5\n\t"    \
    "smlabt r6, r11, lr, r6\n\t"   \
    "smlad r7, r11, lr, r7\n\t"
#define PR_DW_NEXT                 \
    "ldr r8, [sp, #40]\n\t"        \
    "add r9, r9, r8\n\t"           \
    "ldm r9, {r8, r10, r11}\n\t"
#define PR_DW_BOTH(r)                       \
    "smmlar " r ", " r ", r8, r10\n\t"      \
    "ssat " r ", #8, " r ", asr #6\n\t"
__attribute__((naked, noinline)) static void pr_dw3_pairs_relu(const pr_dw3 *c)
{
    (void)c;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #84\n\t"
        "mov r1, sp\n\t"
        "ldm r0!, {r2-r7}\n\t"
        "stm r1!, {r2-r7}\n\t"
        "ldm r0!, {r2-r7}\n\t"
        "stm r1!, {r2-r7}\n\t"
        "ldm r0!, {r2-r7}\n\t"
        "stm r1!, {r2-r7}\n\t"
        "ldr r0, [sp, #40]\n\t"
        "add r0, r0, r0, lsl #1\n\t"
        "rsb r0, r0, #8\n\t"
        "str r0, [sp, #80]\n"
        "1:\n\t"
        "ldr r0, [sp, #48]\n\t"
        "ldr r1, [sp, #56]\n\t"
        "ldr r9, [sp, #52]\n\t"
        "strd r0, r1, [sp, #72]\n"
        "2:\n\t"
        "ldr r7, [sp, #24]\n\t"
        "ldrd r12, lr, [sp]\n\t"
        "ldm r9, {r8, r10, r11}\n\t"
        "smlad r0, r8, r12, r7\n\t"
        "smlatb r1, r8, r12, r7\n\t"
        "smlad r2, r10, r12, r7\n\t"
        "smlatb r3, r10, r12, r7\n\t"
        "smlabt r0, r10, lr, r0\n\t"
        "smlad r1, r10, lr, r1\n\t"
        "smlabt r2, r11, lr, r2\n\t"
        "smlad r3, r11, lr, r3\n\t"
        PR_DW_NEXT
        "smlad r4, r8, r12, r7\n\t"
        "smlatb r5, r8, r12, r7\n\t"
        "smlad r6, r10, r12, r7\n\t"
        "smlatb r7, r10, r12, r7\n\t"
        "smlabt r4, r10, lr, r4\n\t"
        "smlad r5, r10, lr, r5\n\t"
        "smlabt r6, r11, lr, r6\n\t"
        "smlad r7, r11, lr, r7\n\t"
        "ldrd r12, lr, [sp, #8]\n\t"
        PR_DW_UPPER PR_DW_NEXT PR_DW_LOWER
        "ldrd r12, lr, [sp, #16]\n\t"
        PR_DW_UPPER PR_DW_NEXT PR_DW_LOWER
        "ldrd r8, r10, [sp, #28]\n\t"
        PR_DW_BOTH("r0") PR_DW_BOTH("r1") PR_DW_BOTH("r2") PR_DW_BOTH("r3")
        PR_DW_BOTH("r4") PR_DW_BOTH("r5") PR_DW_BOTH("r6") PR_DW_BOTH("r7")
        "ldr r8, [sp, #76]\n\t"
        "ldr r10, [sp, #44]\n\t"
        "ldr r11, [sp, #64]\n\t"
        "ldr r12, [sp, #72]\n\t"
        "add lr, r8, r11\n\t"
        "subs r12, r12, #4\n\t"
        "strb r0, [r8]\n\t"
        "strb r4, [lr]\n\t"
        "blt 4f\n\t"
        "add r11, r10, r10, lsl #1\n\t"
        "strb r1, [r8, r10]\n\t"
        "strb r5, [lr, r10]\n\t"
        "strb r2, [r8, r10, lsl #1]\n\t"
        "strb r6, [lr, r10, lsl #1]\n\t"
        "strb r3, [r8, r11]\n\t"
        "strb r7, [lr, r11]\n\t"
        "add r8, r8, r10, lsl #2\n\t"
        "str r12, [sp, #72]\n\t"
        "str r8, [sp, #76]\n\t"
        "ldr r0, [sp, #80]\n\t"
        "add r9, r9, r0\n\t"
        "bgt 2b\n"
        "3:\n\t"
        "ldrd r0, r1, [sp, #52]\n\t"
        "ldrd r2, r3, [sp, #60]\n\t"
        "ldr r4, [sp, #68]\n\t"
        "add r0, r0, r2, lsl #1\n\t"
        "add r1, r1, r3, lsl #1\n\t"
        "strd r0, r1, [sp, #52]\n\t"
        "subs r4, r4, #2\n\t"
        "str r4, [sp, #68]\n\t"
        "cmp r4, #1\n\t"
        "bgt 1b\n\t"
        "add sp, sp, #84\n\t"
        "pop {r4-r11, pc}\n"
        "4:\n\t"
        "cmn r12, #3\n\t"
        "beq 3b\n\t"
        "strb r1, [r8, r10]\n\t"
        "strb r5, [lr, r10]\n\t"
        "cmn r12, #2\n\t"
        "beq 3b\n\t"
        "strb r2, [r8, r10, lsl #1]\n\t"
        "strb r6, [lr, r10, lsl #1]\n\t"
        "b 3b");
}
#else
static void pr_dw3_pairs_relu(const pr_dw3 *c)
{
    pr_dw3 even = *c;
    even.height &= ~1;
    pr_dw3_plain(&even, 1, 1);
}
#endif
