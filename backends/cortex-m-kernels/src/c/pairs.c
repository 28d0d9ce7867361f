/* Codes of a palette of 16: a byte names a pair of weights, and the table holds all pairs, 256 words;
 * gives the table's end. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_PAIR(low, at) "orr r2, " low ", r3\n\tstr r2, [r0, #" at "]\n\t"
#define PR_PAIRS(first, at)                  \
    "ldrsb r4, [r1, #" first "]\n\t"         \
    "ldrsb r5, [r1, #" first " + 1]\n\t"     \
    "ldrsb r6, [r1, #" first " + 2]\n\t"     \
    "ldrsb r7, [r1, #" first " + 3]\n\t"     \
    "ldrsb r8, [r1, #" first " + 4]\n\t"     \
    "ldrsb r9, [r1, #" first " + 5]\n\t"     \
    "ldrsb r10, [r1, #" first " + 6]\n\t"    \
    "ldrsb r11, [r1, #" first " + 7]\n\t"    \
    "uxth r4, r4\n\t"                        \
    "uxth r5, r5\n\t"                        \
    "uxth r6, r6\n\t"                        \
    "uxth r7, r7\n\t"                        \
    "uxth r8, r8\n\t"                        \
    "uxth r9, r9\n\t"                        \
    "uxth r10, r10\n\t"                      \
    "uxth r11, r11\n\t"                      \
    "mov r12, r1\n\t"                        \
    "add lr, r0, #1024\n"                    \
    "1:\n\t"                                 \
    "ldrsb r3, [r12], #1\n\t"                \
    "lsl r3, r3, #16\n\t"                    \
    PR_PAIR("r4", at) PR_PAIR("r5", at " + 4") PR_PAIR("r6", at " + 8") PR_PAIR("r7", at " + 12") \
    PR_PAIR("r8", at " + 16") PR_PAIR("r9", at " + 20") PR_PAIR("r10", at " + 24") PR_PAIR("r11", at " + 28") \
    "add r0, r0, #64\n\t"                    \
    "cmp r0, lr\n\t"                         \
    "bne 1b\n\t"
__attribute__((naked, noinline)) static int32_t *pr_pairs(int32_t *table, const uint32_t *book)
{
    (void)table, (void)book;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        PR_PAIRS("0", "0")
        "sub r0, r0, #1024\n\t"
        PR_PAIRS("8", "32")
        "pop {r4-r11, pc}");
}
#else
static int32_t *pr_pairs(int32_t *table, const uint32_t *book)
{
    const int8_t *values = (const int8_t *)book;
    for (int32_t i = 0; i < 16; i++) {
        for (int32_t j = 0; j < 16; j++) {
            *table++ = (int32_t)((uint32_t)(values[j] & 0xffff) | (uint32_t)values[i] << 16);
        }
    }
    return table;
}
#endif
