/* How the windows of two pixels lie in memory, and where the odd bytes of their rows go. */
typedef struct {
    int32_t rows, words, rest; /* words and odd bytes of a row */
    int32_t skip;              /* bytes from a row's end to the next one's beginning */
    int8_t *tail, *tail2;
} pr_pair;

/* Interleaves the rows of two windows as pr_pack does, and puts the odd bytes by; where the columns
 * end. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define PR_WIDEN                     \
    "ldr r6, [r1], #4\n\t"           \
    "ldr r7, [r2], #4\n\t"           \
    "sxtb16 r4, r6\n\t"              \
    "sxtb16 r5, r7\n\t"              \
    "sxtb16 r6, r6, ror #8\n\t"      \
    "sxtb16 r7, r7, ror #8\n\t"      \
    "stm r0!, {r4-r7}\n\t"
__attribute__((naked, noinline)) static int32_t *pr_windows(
    int32_t *columns, const int8_t *a, const int8_t *b, const pr_pair *p)
{
    (void)columns, (void)a, (void)b, (void)p;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "ldm r3, {r3, r8, r9, r10, r11, r12}\n"
        "1:\n\t"
        "lsrs lr, r8, #1\n\t"
        "bcc 2f\n\t"
        PR_WIDEN
        "2:\n\t"
        "cmp lr, #0\n\t"
        "beq 4f\n"
        "3:\n\t"
        PR_WIDEN
        PR_WIDEN
        "subs lr, lr, #1\n\t"
        "bne 3b\n"
        "4:\n\t"
        "movs lr, r9\n\t"
        "beq 6f\n"
        "5:\n\t"
        "ldrb r4, [r1], #1\n\t"
        "ldrb r5, [r2], #1\n\t"
        "strb r4, [r11], #1\n\t"
        "strb r5, [r12], #1\n\t"
        "subs lr, lr, #1\n\t"
        "bne 5b\n"
        "6:\n\t"
        "add r1, r1, r10\n\t"
        "add r2, r2, r10\n\t"
        "subs r3, r3, #1\n\t"
        "bne 1b\n\t"
        "pop {r4-r11, pc}");
}
#else
static int32_t *pr_windows(int32_t *columns, const int8_t *a, const int8_t *b, const pr_pair *p)
{
    int8_t *t = p->tail, *t2 = p->tail2;
    for (int32_t y = p->rows; y > 0; y--) {
        columns = pr_pack(columns, a, b, p->words);
        a += 4 * p->words;
        b += 4 * p->words;
        for (int32_t i = p->rest; i > 0; i--) {
            *t++ = *a++;
            *t2++ = *b++;
        }
        a += p->skip;
        b += p->skip;
    }
    return columns;
}
#endif
