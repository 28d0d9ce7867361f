/* Palette codes; the table of pairs lies before the columns. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_MM_CODE(a, b)                \
    "ldrb r10, [r8], #1\n\t"            \
    "ldr r10, [r11, r10, lsl #2]\n\t"   \
    "smlad " a ", r12, r10, " a "\n\t"  \
    "smlad " b ", lr, r10, " b "\n\t"
#define PR_MM_CODES                     \
    "ldrd r12, lr, [r9], #8\n\t"        \
    PR_MM_CODE("r0", "r4") PR_MM_CODE("r1", "r5") PR_MM_CODE("r2", "r6") PR_MM_CODE("r3", "r7")
#define PR_MM_CODED(before, after)      \
        PR_MM_BEGIN("28")               \
        "sub r3, r0, #1024\n\t"         \
        "str r3, [sp, #24]\n"           \
        "1:\n\t"                        \
        "ldm r8!, {r0-r3}\n\t"          \
        "ldr r9, [sp]\n\t"              \
        "ldr r11, [sp, #24]\n\t"        \
        "mov r4, r0\n\t"                \
        "mov r5, r1\n\t"                \
        "mov r6, r2\n\t"                \
        "mov r7, r3\n\t"                \
        before                          \
        PR_MM_CODES PR_MM_CODES         \
        after                           \
        PR_MM_END("28", "", PR_MM_LOWER, PR_SCALE_FIRST, PR_SCALE)
#endif
