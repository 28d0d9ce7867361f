/* An accumulator to int8 by a multiplier of any size. With bit 5 of the shift set it is a half or more: the rest of the
 * shift less 1 goes left, beforehand. 16 bits of the accumulator are enough then, as what is cut off saturates. */
static inline int32_t pr_requant_left(int32_t acc, int32_t multiplier, uint32_t shift, int32_t zero)
{
    if (shift & 32) {
        acc = acc < -32768 ? -32768 : acc > 32767 ? 32767 : acc;
        return pr_sat8(pr_mulh(acc * (1 << ((shift & 31) - 1)), multiplier) + (zero >> 1));
    }
    return pr_requant(acc, multiplier, shift & 31, zero);
}
