/* Windows 7 wide, stride 1 along x; a row of weights is w0w1 w2w3 w4w5 w1w2 w3w4 w5w6. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_DW_ROW71 \
    "ldm r9, {r4-r7}\n\t" \
    "ldm r12!, {r8, r10, r11}\n\t" \
    "ldr lr, [r12, #8]\n\t" \
    "smlad r0, r4, r8, r0\n\t" \
    "smlatb r1, r4, r8, r1\n\t" \
    "smlad r2, r5, r8, r2\n\t" \
    "smlatb r3, r5, r8, r3\n\t" \
    "smlad r0, r5, r10, r0\n\t" \
    "smlad r2, r6, r10, r2\n\t" \
    "smlad r0, r6, r11, r0\n\t" \
    "smlad r2, r7, r11, r2\n\t" \
    "ldrd r8, r10, [r12], #12\n\t" \
    "ldr r4, [r9, #16]\n\t" \
    "smlabt r0, r7, lr, r0\n\t" \
    "smlad r1, r7, lr, r1\n\t" \
    "smlabt r2, r4, lr, r2\n\t" \
    "smlad r3, r4, lr, r3\n\t" \
    "smlad r1, r5, r8, r1\n\t" \
    "smlad r3, r6, r8, r3\n\t" \
    "smlad r1, r6, r10, r1\n\t" \
    "smlad r3, r7, r10, r3\n\t"
__attribute__((naked, noinline)) static void pr_dw7_s1(const pr_dw_wide *c)
{
    (void)c;
    __asm__ volatile(PR_DW_WIDE(PR_DW_ROW71, "#8"));
}
#else
#define pr_dw7_s1(c) pr_dw_wide_plain(c, 7, 1)
#endif
