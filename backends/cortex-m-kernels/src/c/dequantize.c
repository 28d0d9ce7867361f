static void pr_dequantize(const int8_t *in, float *out, int32_t n, float scale, int32_t zero)
{
    /* From the end: the output may cover the input. */
    for (n--; n >= 0; n--) {
        out[n] = scale * (float)(in[n] - zero);
    }
}
