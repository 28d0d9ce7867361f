/* 3x3, stride 1 along x, four outputs at a time. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
__attribute__((naked, noinline)) static void pr_dw3_s1(const pr_dw3 *c)
{
    (void)c;
    __asm__ volatile(PR_DW_LOOP(PR_DW_ROW1, "#8", PR_DW_PARAMS, PR_DW_SCALE));
}
#else
#define pr_dw3_s1(c) pr_dw3_plain(c, 1, 0)
#endif
