/* round(a * b / 2^31), ties toward plus infinity: gemmlowp's rounding doubling high multiply for every
 * operand but INT32_MIN squared. */
static inline int32_t pr_mulh(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

static inline int32_t pr_sat8(int32_t x)
{
    return x < -128 ? -128 : x > 127 ? 127 : x;
}

/* An accumulator to int8: doubling high multiply, then a rounding shift right by shift1 + 1 with
 * ties away from zero. zero is 2 * zero_point + 1. */
static inline int32_t pr_requant(int32_t acc, int32_t multiplier, uint32_t shift1, int32_t zero)
{
    int32_t h = pr_mulh(acc, multiplier);
    h += h >> 31;
    h += (int32_t)((uint32_t)zero << shift1);
    return pr_sat8((h >> shift1) >> 1);
}
