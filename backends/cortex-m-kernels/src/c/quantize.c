/* round(x / scale) + zero, ties PR_TIES. */
static void PR_NAME(const float *in, int8_t *out, int32_t n, float scale, int32_t zero)
{
    for (; n > 0; n--) {
        float x = *in++ / scale;
        x = x > 512.0f ? 512.0f : x > -512.0f ? x : -512.0f;
        int32_t v = (int32_t)x;
        float rest = x - (float)v;
        PR_ROUND
        *out++ = (int8_t)pr_sat8(v + zero);
    }
}
