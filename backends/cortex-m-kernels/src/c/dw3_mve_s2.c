/* 3x3, stride 2. */
#ifdef PR_HELIUM
__attribute__((naked, noinline)) static void pr_dw3_s2(const pr_dw *d)
{
    (void)d;
    __asm__ volatile(PR_DW3(PR_DW_SUMS_2, PR_DW_PLACES_2, "", "1", "16", "3", PR_DW_TIES));
}
#else
#define pr_dw3_s2(d) pr_dw3_plain(d, 2)
#endif
