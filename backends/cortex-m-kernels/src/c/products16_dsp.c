#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
/* The products of a row with four inputs, the even ones in `even`. */
#define PR_ROW16(acc, weights) \
    "ldr %[t], [" weights "]\n sxtb16 %[s], %[t]\n smlad %[" acc "], %[even], %[s], %[" acc "]\n" \
    "sxtb16 %[t], %[t], ror #8\n smlad %[" acc "], %[odd], %[t], %[" acc "]\n"
    int32_t words = n >> 2;
    if (rows == 4 && words) {
        int32_t a = 0, b = 0, c = 0, d = 0, even, odd, t, s;
        __asm__ volatile(
            "1:\n ldr %[t], [%[x]], #4\n ldr %[odd], [%[x]], #4\n"
            "pkhbt %[even], %[t], %[odd], lsl #16\n pkhtb %[odd], %[odd], %[t], asr #16\n"
            PR_ROW16("a", "%[w]") PR_ROW16("b", "%[w], %[apart]") PR_ROW16("c", "%[w], %[apart], lsl #1")
            "add %[w], %[w], %[thrice]\n" PR_ROW16("d", "%[w]")
            "sub %[w], %[w], %[thrice]\n add %[w], %[w], #4\n subs %[n], %[n], #1\n bne 1b"
            : [x] "+r"(x), [w] "+r"(w), [n] "+r"(words), [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d),
              [even] "=&r"(even), [odd] "=&r"(odd), [t] "=&r"(t), [s] "=&r"(s)
            : [apart] "r"(apart), [thrice] "r"(3 * apart)
            : "memory", "cc");
        sums[0] += a;
        sums[1] += b;
        sums[2] += c;
        sums[3] += d;
        n &= 3;
    }
#endif
    if (n == 0) {
        return;
    }
