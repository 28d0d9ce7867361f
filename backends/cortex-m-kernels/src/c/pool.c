typedef struct {
    int32_t in_h, in_w, channels, out_h, out_w;
    int16_t k_h, k_w, stride_h, stride_w, pad_top, pad_left;
    int16_t low, high;
} pr_pool;
