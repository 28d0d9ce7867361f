/* A function of one int8 value by table, indexed by the value + 128. */
static void pr_table(const int8_t *table, const int8_t *in, int8_t *out, int32_t n)
{
    for (table += 128; n > 0; n--) {
        *out++ = table[*in++];
    }
}
