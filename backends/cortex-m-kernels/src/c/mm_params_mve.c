/* A product of pixels' windows with all output channels. */
typedef struct {
    int32_t bytes;    /* of a window, a multiple of 16; past its end weights are zero */
    int32_t channels; /* that the stream has */
    int32_t zero;     /* 2 * output zero point + 1 */
    int32_t apart;    /* from one pixel's window to the next one's */
    int32_t pixels;
    int32_t stride; /* from one pixel's outputs to the next one's */
} pr_mm;
