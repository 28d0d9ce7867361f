/* A depthwise convolution, one channel at a time: the channel's plane is copied into scratch, widened
 * and framed by the input's zero point, so an output may take its input's place. Large planes are done in bands of rows. x and y may be
 * exchanged (with the weights transposed) so that x is the axis that wastes least. */
typedef struct {
    const uint8_t *weights; /* per channel: bias, multiplier, k_h * k_w weights, shift (of pr_requant_left) */
    int32_t in_x, in_y, out_x, out_y; /* steps in bytes */
    int32_t channels;                 /* of the output */
    int16_t per_input;                /* output channels for each input channel */
    int16_t in_h, in_w, out_h, out_w;
    int16_t pitch, rows;              /* of the plane in scratch */
    int16_t band;                     /* output rows that one filling of the plane gives */
    int16_t record;                   /* bytes of weights per channel */
    int16_t zero;                     /* 2 * output zero point + 1, or what lines begin with */
    int8_t k_h, k_w, stride_h, stride_w, pad_top, pad_left, in_zero;
    int8_t line; /* weights are multiplied by 1 << line where results rise along lines, else 0 */
} pr_plane;
