/* Windows 5 wide, stride 2 along x; a row of weights is w0w1 w2w3 w4. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_DW_ROW52 \
    "ldm r9, {r4-r8}\n\t" \
    "ldm r12!, {r10, r11, lr}\n\t" \
    "smlad r0, r4, r10, r0\n\t" \
    "smlad r1, r5, r10, r1\n\t" \
    "smlad r2, r6, r10, r2\n\t" \
    "smlad r3, r7, r10, r3\n\t" \
    "ldr r4, [r9, #20]\n\t" \
    "smlad r0, r5, r11, r0\n\t" \
    "smlad r1, r6, r11, r1\n\t" \
    "smlad r2, r7, r11, r2\n\t" \
    "smlad r3, r8, r11, r3\n\t" \
    "smlabb r0, r6, lr, r0\n\t" \
    "smlabb r1, r7, lr, r1\n\t" \
    "smlabb r2, r8, lr, r2\n\t" \
    "smlabb r3, r4, lr, r3\n\t"
__attribute__((naked, noinline)) static void pr_dw5_s2(const pr_dw_wide *c)
{
    (void)c;
    __asm__ volatile(PR_DW_WIDE(PR_DW_ROW52, "#16"));
}
#else
#define pr_dw5_s2(c) pr_dw_wide_plain(c, 5, 2)
#endif
