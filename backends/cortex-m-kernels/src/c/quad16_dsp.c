#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    int32_t t, u, v, even;
    if (n <= 0) {
        return s;
    }
    __asm__ volatile(
        "1:\n ldr %[t], [%[w]]\n ldr %[u], [%[x]]\n ldr %[v], [%[x], #4]\n sxtb16 %[even], %[t]\n"
        "sxtb16 %[t], %[t], ror #8\n smlabb %[a], %[u], %[even], %[a]\n smlatb %[b], %[u], %[t], %[b]\n"
        "smlabt %[c], %[v], %[even], %[c]\n smlatt %[d], %[v], %[t], %[d]\n add %[x], %[x], %[run]\n"
        "add %[w], %[w], %[w_run]\n subs %[n], %[n], #1\n bne 1b"
        : [x] "+r"(x), [w] "+r"(w), [n] "+r"(n), [a] "+r"(s.a), [b] "+r"(s.b), [c] "+r"(s.c), [d] "+r"(s.d),
          [t] "=&r"(t), [u] "=&r"(u), [v] "=&r"(v), [even] "=&r"(even)
        : [run] "r"(2 * run), [w_run] "r"(w_run)
        : "memory", "cc");
    return s;
#endif
