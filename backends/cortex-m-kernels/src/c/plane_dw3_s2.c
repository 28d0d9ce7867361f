/* 3x3, stride 2 along x, four outputs at a time. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
__attribute__((naked, noinline)) static void pr_dw3_s2(const pr_dw3 *c)
{
    (void)c;
    __asm__ volatile(PR_DW_LOOP(PR_DW_ROW2, "#16", PR_DW_PARAMS, PR_DW_SCALE));
}
#else
#define pr_dw3_s2(c) pr_dw3_plain(c, 2, 0)
#endif
