#ifdef PR_HELIUM
/* What one channel's 3x3 loop needs. */
typedef struct {
    int32_t width, pitch, height;
    int32_t row_step, out_step; /* from the end of a row to the next, input and output */
    int32_t bias, multiplier, shift, zero, out_x; /* the right shift negative */
    const int8_t *plane;
    int8_t *out;
    const int8_t *weights;
} pr_dw3;

/* Four outputs at a time, stride 1 along x. r0-r2 rows, r3 out, r4 columns left, r5-r12 and lr
 * weights; q2 step and q3 place of the outputs, q4 zero, q5 shift, q6 multiplier, q7 bias. */
__attribute__((naked, noinline)) static void pr_dw3_s1(const pr_dw3 *c)
{
    (void)c;
    __asm__ volatile(
        "push {r4-r11, lr}\n\t"
        "vpush {d8-d15}\n\t"
        "sub sp, sp, #20\n\t"
        "ldm r0!, {r1-r5}\n\t"
        "stm sp, {r1-r5}\n\t"
        "ldm r0!, {r1-r5}\n\t"
        "vdup.32 q7, r1\n\t"
        "vdup.32 q6, r2\n\t"
        "vdup.32 q5, r3\n\t"
        "vdup.32 q4, r4\n\t"
        "lsls r1, r5, #2\n\t"
        "vdup.32 q2, r1\n\t"
        "movs r2, #0\n\t"
        "vidup.u32 q3, r2, #1\n\t"
        "vmul.i32 q3, q3, r5\n\t"
        "ldm r0, {r2, r3, r4}\n\t"
        "mov r0, r2\n\t"
        "ldrsb r5, [r4]\n\t"
        "ldrsb r6, [r4, #1]\n\t"
        "ldrsb r7, [r4, #2]\n\t"
        "ldrsb r8, [r4, #3]\n\t"
        "ldrsb r9, [r4, #4]\n\t"
        "ldrsb r10, [r4, #5]\n\t"
        "ldrsb r11, [r4, #6]\n\t"
        "ldrsb r12, [r4, #7]\n\t"
        "ldrsb lr, [r4, #8]\n"
        "1:\n\t"
        "ldrd r4, r1, [sp]\n\t"
        "add r2, r0, r1, lsl #1\n\t"
        "add r1, r1, r0\n"
        "2:\n\t"
        "vmov q0, q7\n\t"
        "vldrb.s32 q1, [r0, #1]\n\t"
        "vmla.s32 q0, q1, r6\n\t"
        "vldrb.s32 q1, [r0, #2]\n\t"
        "vmla.s32 q0, q1, r7\n\t"
        "vldrb.s32 q1, [r0], #4\n\t"
        "vmla.s32 q0, q1, r5\n\t"
        "vldrb.s32 q1, [r1, #1]\n\t"
        "vmla.s32 q0, q1, r9\n\t"
        "vldrb.s32 q1, [r1, #2]\n\t"
        "vmla.s32 q0, q1, r10\n\t"
        "vldrb.s32 q1, [r1], #4\n\t"
        "vmla.s32 q0, q1, r8\n\t"
        "vldrb.s32 q1, [r2, #1]\n\t"
        "vmla.s32 q0, q1, r12\n\t"
        "vldrb.s32 q1, [r2, #2]\n\t"
        "vmla.s32 q0, q1, lr\n\t"
        "vldrb.s32 q1, [r2], #4\n\t"
        "vmla.s32 q0, q1, r11\n\t"
        "vqrdmulh.s32 q0, q0, q6\n\t"
        "vshr.s32 q1, q0, #31\n\t"
        "vadd.i32 q0, q0, q1\n\t"
        "vrshl.s32 q0, q0, q5\n\t"
        "vadd.i32 q0, q0, q4\n\t"
        "vqmovnb.s32 q0, q0\n\t"
        "vqmovnb.s16 q0, q0\n\t"
        "vctp.32 r4\n\t"
        "vpst\n\t"
        "vstrbt.32 q0, [r3, q3]\n\t"
        "vadd.i32 q3, q3, q2\n\t"
        "subs r4, r4, #4\n\t"
        "bgt 2b\n\t"
        "ldrd r1, r2, [sp, #8]\n\t"
        "ldr r4, [sp, #16]\n\t"
        "add r0, r0, r2\n\t"
        "add r3, r3, r4\n\t"
        "subs r1, r1, #1\n\t"
        "str r1, [sp, #8]\n\t"
        "bne 1b\n\t"
        "add sp, sp, #20\n\t"
        "vpop {d8-d15}\n\t"
        "pop {r4-r11, pc}");
}
#endif

static void pr_channel_3x3(const pr_plane *c, const uint8_t *record, const pr_element *plane, int8_t *out, int32_t height)
{
    int32_t head[2];
    memcpy(head, record, 8);
    const int8_t *w = (const int8_t *)record + 8;
    int32_t shift1 = record[17], stride = c->stride_w, pitch = c->pitch;
#ifdef PR_HELIUM
    if (stride == 1) {
        int32_t steps = (c->out_w + 3) >> 2;
        pr_dw3 d = {
            c->out_w, pitch, height, pitch * c->stride_h - 4 * steps, c->out_y - 4 * steps * c->out_x,
            head[0], head[1], -1 - shift1, c->zero >> 1, c->out_x, plane, out, w};
        pr_dw3_s1(&d);
        return;
    }
#endif
    int32_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
#ifdef PR_HELIUM
    uint32x4_t lanes = vidupq_n_u32(0, 1), from = vmulq_n_u32(lanes, (uint32_t)stride);
    uint32x4_t to_lanes = vmulq_n_u32(lanes, (uint32_t)c->out_x);
    int32_t zero = c->zero >> 1;
    for (int32_t y = 0; y < height; y++) {
        const int8_t *a = plane + y * c->stride_h * pitch, *b = a + pitch, *d = b + pitch;
        int8_t *to = out + y * c->out_y;
        for (int32_t x = c->out_w; x > 0; x -= 4) {
            int32x4_t acc = vdupq_n_s32(head[0]);
#define PR_TAP(p, i, w) acc = vmlaq_n_s32(acc, vldrbq_gather_offset_s32((p) + (i), from), w)
            PR_TAP(a, 0, w0);
            PR_TAP(a, 1, w1);
            PR_TAP(a, 2, w2);
            PR_TAP(b, 0, w3);
            PR_TAP(b, 1, w4);
            PR_TAP(b, 2, w5);
            PR_TAP(d, 0, w6);
            PR_TAP(d, 1, w7);
            PR_TAP(d, 2, w8);
#undef PR_TAP
            acc = vqrdmulhq_n_s32(acc, head[1]);
            acc = vaddq_s32(acc, vshrq_n_s32(acc, 31));
            acc = vaddq_n_s32(vrshlq_n_s32(acc, -1 - shift1), zero);
            int16x8_t half = vqmovnbq_s32(vuninitializedq_s16(), acc);
            int8x16_t byte = vqmovnbq_s16(vuninitializedq_s8(), half);
            vstrbq_scatter_offset_p_s32(to, to_lanes, vreinterpretq_s32_s8(byte), vctp32q((uint32_t)x));
            a += 4 * stride;
            b += 4 * stride;
            d += 4 * stride;
            to += 4 * c->out_x;
        }
    }
#else
    for (int32_t y = 0; y < height; y++) {
        const pr_element *a = plane + y * c->stride_h * pitch, *b = a + pitch, *d = b + pitch;
        int8_t *to = out + y * c->out_y;
        for (int32_t x = c->out_w; x > 0; x--, a += stride, b += stride, d += stride, to += c->out_x) {
            int32_t acc = head[0];
            acc += a[0] * w0 + a[1] * w1 + a[2] * w2;
            acc += b[0] * w3 + b[1] * w4 + b[2] * w5;
            acc += d[0] * w6 + d[1] * w7 + d[2] * w8;
            *to = (int8_t)pr_requant(acc, head[1], (uint32_t)shift1, c->zero);
        }
    }
#endif
}
