/* 3x3, stride 1, zero point -128. */
#ifdef PR_HELIUM
__attribute__((naked, noinline)) static void pr_dw3_s1_relu(const pr_dw *d)
{
    (void)d;
    __asm__ volatile(PR_DW3(PR_DW_SUMS_1, PR_DW_PLACES_1, PR_DW_LAST_1, "2", "32", "2", PR_DW_NO_TIES));
}
#else
#define pr_dw3_s1_relu(d) pr_dw3_plain(d, 1)
#endif
