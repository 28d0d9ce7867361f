/* The products of a tap of four channels. */
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
#define pr_tap16 pr_fast_tap16
static inline pr_quad16 pr_fast_tap16(pr_quad16 s, const int16_t *x, const int8_t *w)
{
    uint32_t all, even, odd, first, second;
    memcpy(&all, w, 4);
    memcpy(&first, x, 4);
    memcpy(&second, x + 2, 4);
    __asm__("sxtb16 %0, %1" : "=r"(even) : "r"(all));
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(all));
    __asm__("smlabb %0, %1, %2, %0" : "+r"(s.a) : "r"(first), "r"(even));
    __asm__("smlatb %0, %1, %2, %0" : "+r"(s.b) : "r"(first), "r"(odd));
    __asm__("smlabt %0, %1, %2, %0" : "+r"(s.c) : "r"(second), "r"(even));
    __asm__("smlatt %0, %1, %2, %0" : "+r"(s.d) : "r"(second), "r"(odd));
    return s;
}
#endif
