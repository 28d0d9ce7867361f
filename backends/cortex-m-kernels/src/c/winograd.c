/* A 3x3 convolution of stride 1 by Winograd's F(2x2, 3x3) in integers: 16 products where 36 would be. Inputs are
 * transformed as they are, weights to four times what the rule says, so that sums come out times four,
 * exactly: products may wrap, as the sums of them fit. */
typedef struct {
    /* A group of four channels: for each of 16 places and each two inputs 4 words of pairs of weights, then doubled
     * biases, multipliers, shifts - 1 (a byte each). */
    const uint32_t *weights;
    uint16_t in_h, in_w, in_c, out_h, out_w, out_c;
    int16_t zero; /* 2 * output zero point + 1 */
    int8_t pad_top, pad_left, in_zero;
} pr_winograd;

#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
static inline uint32_t pr_add2(uint32_t a, uint32_t b)
{
    uint32_t c;
    __asm__("sadd16 %0, %1, %2" : "=r"(c) : "r"(a), "r"(b));
    return c;
}
static inline uint32_t pr_sub2(uint32_t a, uint32_t b)
{
    uint32_t c;
    __asm__("ssub16 %0, %1, %2" : "=r"(c) : "r"(a), "r"(b));
    return c;
}
static inline uint32_t pr_even2(uint32_t a)
{
    uint32_t c;
    __asm__("sxtb16 %0, %1" : "=r"(c) : "r"(a));
    return c;
}
static inline uint32_t pr_odd2(uint32_t a)
{
    uint32_t c;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(c) : "r"(a));
    return c;
}

/* The 16 products of two tiles with four channels: of tiles `bytes` a place, pairs of inputs of both tiles side by
 * side; sums of the first tile's channels and the second's for each place. */
__attribute__((naked, noinline)) static void pr_winograd_mm(
    const uint32_t *tiles, const uint32_t *weights, int32_t *sums, int32_t bytes)
{
    (void)tiles, (void)weights, (void)sums, (void)bytes;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "sub sp, sp, #20\n\t"
        "mov r8, r0\n\t"
        "mov r9, r1\n\t"
        "add r10, r0, r3\n\t"
        "strd r10, r2, [sp]\n\t"
        "add r10, r0, r3, lsl #4\n\t"
        "strd r3, r10, [sp, #8]\n\t"
        /* A step is 8 bytes of tiles and 44 of code. */
        "rsbs r3, r3, #0\n\t"
        "and r3, r3, #63\n\t"
        "add r4, r3, r3, lsl #2\n\t"
        "add r4, r4, r3, lsr #1\n\t"
        "adr r5, 2f\n\t"
        "add r5, r5, r4\n\t"
        "orr r5, r5, #1\n\t"
        "str r5, [sp, #16]\n"
        "1:\n\t"
        "ldr r10, [sp, #16]\n\t"
        "movs r0, #0\n\t"
        "movs r1, #0\n\t"
        "movs r2, #0\n\t"
        "movs r3, #0\n\t"
        "movs r4, #0\n\t"
        "movs r5, #0\n\t"
        "movs r6, #0\n\t"
        "movs r7, #0\n\t"
        "bx r10\n\t"
        ".balign 4\n"
        "2:\n\t"
        ".rept 8\n\t"
        "ldrd r10, r11, [r8], #8\n\t"
        "ldrd r12, lr, [r9], #8\n\t"
        "smlad r0, r10, r12, r0\n\t"
        "smlad r4, r11, r12, r4\n\t"
        "smlad r1, r10, lr, r1\n\t"
        "smlad r5, r11, lr, r5\n\t"
        "ldrd r12, lr, [r9], #8\n\t"
        "smlad r2, r10, r12, r2\n\t"
        "smlad r6, r11, r12, r6\n\t"
        "smlad r3, r10, lr, r3\n\t"
        "smlad r7, r11, lr, r7\n\t"
        ".endr\n\t"
        "ldrd r10, r11, [sp]\n\t"
        "cmp r8, r10\n\t"
        "blo 2b\n\t"
        "stm r11!, {r0-r7}\n\t"
        "ldrd r0, r1, [sp, #8]\n\t"
        "add r10, r10, r0\n\t"
        "strd r10, r11, [sp]\n\t"
        "cmp r8, r1\n\t"
        "bne 1b\n\t"
        "add sp, sp, #20\n\t"
        "pop {r4-r11, pc}");
}
#else
static inline uint32_t pr_add2(uint32_t a, uint32_t b)
{
    return ((a + b) & 0xffffu) | ((a & 0xffff0000u) + (b & 0xffff0000u));
}
static inline uint32_t pr_sub2(uint32_t a, uint32_t b)
{
    return ((a - b) & 0xffffu) | ((a & 0xffff0000u) - (b & 0xffff0000u));
}
static inline uint32_t pr_even2(uint32_t a)
{
    return ((uint32_t)(int8_t)a & 0xffffu) | (uint32_t)(int8_t)(a >> 16) << 16;
}
static inline uint32_t pr_odd2(uint32_t a)
{
    return pr_even2(a >> 8);
}

static void pr_winograd_mm(const uint32_t *tiles, const uint32_t *weights, int32_t *sums, int32_t bytes)
{
    for (int32_t place = 0; place < 16; place++, sums += 8) {
        memset(sums, 0, 32);
        for (int32_t left = bytes; left > 0; left -= 8, tiles += 2, weights += 4) {
            for (int32_t i = 0; i < 8; i++) {
                uint32_t t = tiles[i >> 2], w = weights[i & 3];
                int32_t a = (int16_t)t * (int16_t)w, b = (int16_t)(t >> 16) * (int16_t)(w >> 16);
                sums[i] = (int32_t)((uint32_t)sums[i] + (uint32_t)a + (uint32_t)b);
            }
        }
    }
}
#endif

/* Two tiles side by side, 4 rows and 6 columns of inputs, transformed. */
static void pr_winograd_in(const int8_t *from, int32_t line, int32_t depth, uint32_t *to)
{
    uint32_t place = (uint32_t)depth;
    for (int32_t block = depth >> 2; block > 0; block--, from += 4) {
        uint32_t rows[2][4][6], (*column)[4][6] = rows;
        for (int32_t x = 0; x < 6; x++) {
            uint32_t d[4];
            const int8_t *at = from + x * depth;
            for (int32_t y = 0; y < 4; y++, at += line) {
                memcpy(&d[y], at, 4);
            }
            for (int32_t half = 0; half < 2; half++) {
                uint32_t a = half ? pr_odd2(d[0]) : pr_even2(d[0]), b = half ? pr_odd2(d[1]) : pr_even2(d[1]);
                uint32_t c = half ? pr_odd2(d[2]) : pr_even2(d[2]), e = half ? pr_odd2(d[3]) : pr_even2(d[3]);
                column[half][0][x] = pr_sub2(a, c);
                column[half][1][x] = pr_add2(b, c);
                column[half][2][x] = pr_sub2(c, b);
                column[half][3][x] = pr_sub2(b, e);
            }
        }
        for (int32_t half = 0; half < 2; half++, to += 2) {
            uint32_t *v = to;
            for (int32_t y = 0; y < 4; y++, v += 4 * place) {
                const uint32_t *t = rows[half][y];
                v[0] = pr_sub2(t[0], t[2]), v[1] = pr_sub2(t[2], t[4]);
                v[place] = pr_add2(t[1], t[2]), v[place + 1] = pr_add2(t[3], t[4]);
                v[2 * place] = pr_sub2(t[2], t[1]), v[2 * place + 1] = pr_sub2(t[4], t[3]);
                v[3 * place] = pr_sub2(t[1], t[3]), v[3 * place + 1] = pr_sub2(t[3], t[5]);
            }
        }
    }
}

static inline int32_t pr_winograd_scale(int32_t sum, int32_t bias, int32_t multiplier, uint32_t shift1, int32_t offset)
{
    int32_t h = PR_MULHR((sum >> 1) + bias, multiplier);
    h += h >> 31;
    return pr_sat8(((h + offset) >> shift1) >> 1);
}

/* Two tiles' sums for one group to outputs; `wide` and `high` of each tile's two columns and two rows are inside. */
static void pr_winograd_out(
    const int32_t *sums, const uint32_t *tail, int8_t *out, int32_t depth, int32_t line, int32_t wide, int32_t high,
    int32_t zero)
{
    for (int32_t i = 0; i < 8; i++, sums++) {
        const int32_t *m = sums;
        int32_t channel = i & 3, bias = (int32_t)tail[channel], multiplier = (int32_t)tail[4 + channel];
        uint32_t shift1 = tail[8] >> 8 * channel & 31;
        int32_t offset = zero * (1 << shift1), upper[4], lower[4];
        for (int32_t x = 0; x < 4; x++, m += 8) {
            int32_t near = m[32] + m[64], far = m[32] - m[64];
            upper[x] = m[0] + near;
            lower[x] = far - m[96];
        }
        int8_t *to = out + channel + (i < 4 ? 0 : 2 * depth);
        int32_t left = i < 4 ? wide : wide - 2;
        if (left <= 0) {
            break;
        }
        const int32_t *t = upper;
        for (int32_t y = 0; y < high; y++, to += line, t = lower) {
            to[0] = (int8_t)pr_winograd_scale(t[0] + t[1] + t[2], bias, multiplier, shift1, offset);
            if (left > 1) {
                to[depth] = (int8_t)pr_winograd_scale(t[1] - t[2] - t[3], bias, multiplier, shift1, offset);
            }
        }
    }
}

static void pr_conv2d_winograd(const pr_winograd *c, const int8_t *in, int8_t *out, void *scratch)
{
    int32_t depth = c->in_c, pairs = (c->out_w + 3) >> 2, line = (4 * pairs + 2) * depth, from = c->in_w * depth;
    int32_t before = c->pad_left * depth, step = c->out_w * c->out_c;
    int32_t *sums = (int32_t *)scratch;
    uint32_t *tiles = (uint32_t *)scratch + 128;
    int8_t *strip = (int8_t *)(tiles + 16 * depth);
    if (from > line - before) {
        from = line - before;
    }
    for (int32_t oy = 0; oy < c->out_h; oy += 2, out += 2 * step) {
        int8_t *row = strip;
        for (int32_t y = oy - c->pad_top; y < oy - c->pad_top + 4; y++, row += line) {
            int32_t inside = y >= 0 && y < c->in_h ? from : 0, edge = inside ? before : 0;
            pr_fill(row, c->in_zero, edge);
            pr_move(row + edge, in + y * c->in_w * depth, inside);
            pr_fill(row + edge + inside, c->in_zero, line - edge - inside);
        }
        int32_t high = c->out_h - oy < 2 ? 1 : 2;
        for (int32_t pair = 0; pair < pairs; pair++) {
            pr_winograd_in(strip + 4 * pair * depth, line, depth, tiles);
            const uint32_t *w = c->weights;
            int8_t *to = out + 4 * pair * c->out_c;
            for (int32_t group = c->out_c; group > 0; group -= 4, to += 4) {
                pr_winograd_mm(tiles, w, sums, 4 * depth);
                w += 32 * depth;
                pr_winograd_out(sums, w, to, c->out_c, step, c->out_w - 4 * pair, high, c->zero);
                w += 9;
            }
        }
    }
}
