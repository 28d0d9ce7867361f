/* Classifies a camera frame: classify_frame PACKAGE FRAME.ppm prints the class and its score.
 *
 * The middle square of the frame is scaled to the input of the model, which is taken to want red, green and blue
 * from 0 to 1.
 */
#include <paring_rt.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* The next number of a PPM's head; comments are passed over. */
static size_t number(FILE *file)
{
    int c = getc(file);
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '#') {
        if (c == '#') {
            while (c != '\n' && c != EOF) {
                c = getc(file);
            }
        } else {
            c = getc(file);
        }
    }
    size_t n = 0;
    for (; c >= '0' && c <= '9' && n < 100000; c = getc(file)) {
        n = 10 * n + (size_t)(c - '0');
    }
    return n;
}

static unsigned char *read_ppm(const char *name, size_t *width, size_t *height)
{
    FILE *file = fopen(name, "rb");
    if (!file) {
        fail(name, "cannot be opened");
    }
    int p = getc(file), six = getc(file);
    *width = number(file);
    *height = number(file);
    size_t most = number(file), len = 3 * *width * *height;
    unsigned char *pixels = len ? malloc(len) : NULL;
    if (p != 'P' || six != '6' || most != 255 || !pixels || fread(pixels, 1, len, file) != len) {
        fail(name, "not a binary PPM of 8 bits");
    }
    fclose(file);
    return pixels;
}

/* The mean of the pixels that element (y, x, channel) of the input covers, 0 to 1. */
static float covered(const unsigned char *pixels, size_t width, size_t height, size_t size, size_t y, size_t x,
                     size_t channel)
{
    size_t side = width < height ? width : height;
    size_t left = (width - side) / 2, top = (height - side) / 2;
    size_t y0 = y * side / size, y1 = (y + 1) * side / size;
    size_t x0 = x * side / size, x1 = (x + 1) * side / size;
    y1 = y1 > y0 ? y1 : y0 + 1;
    x1 = x1 > x0 ? x1 : x0 + 1;
    unsigned sum = 0;
    for (size_t row = y0; row < y1; row++) {
        for (size_t column = x0; column < x1; column++) {
            sum += pixels[3 * ((top + row) * width + left + column) + channel];
        }
    }
    return (float)sum / (float)(255 * (y1 - y0) * (x1 - x0));
}

static int within(float x, int low, int high)
{
    return x < (float)low ? low : x > (float)high ? high : (int)x;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fail("usage", "classify_frame PACKAGE FRAME.ppm");
    }
    paring_model *model;
    paring_runner *runner;
    paring_port in, out;
    if (paring_model_open(argv[1], &model) || paring_model_input(model, 0, &in) || paring_model_output(model, 0, &out)
        || paring_runner_new(model, &runner)) {
        fail(argv[1], paring_last_error());
    }
    if (paring_model_inputs(model) != 1 || paring_model_outputs(model) != 1 || in.rank != 4 || in.shape[0] != 1
        || in.shape[1] != in.shape[2] || in.shape[3] != 3 || in.element > PARING_U8 || out.element > PARING_U8) {
        fail(argv[1], "the model does not classify square pictures");
    }
    size_t width, height, size = in.shape[1];
    unsigned char *pixels = read_ppm(argv[2], &width, &height);
    unsigned char *image = malloc(in.bytes), *scores = malloc(out.bytes);
    if (!image || !scores) {
        fail(argv[0], "no memory");
    }
    for (size_t i = 0; i < 3 * size * size; i++) {
        float real = covered(pixels, width, height, size, i / 3 / size, i / 3 % size, i % 3);
        float stored = in.scale > 0 ? nearbyintf(real / in.scale) + (float)in.zero_point : 0;
        if (in.element == PARING_F32) {
            memcpy(image + 4 * i, &real, 4);
        } else if (in.element == PARING_I8) {
            image[i] = (unsigned char)within(stored, -128, 127);
        } else {
            image[i] = (unsigned char)within(stored, 0, 255);
        }
    }
    const void *inputs[] = {image};
    void *outputs[] = {scores};
    if (paring_runner_run(runner, inputs, outputs)) {
        fail(argv[1], paring_last_error());
    }
    size_t best = 0, count = out.element == PARING_F32 ? out.bytes / 4 : out.bytes;
    float most = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        float score;
        if (out.element == PARING_F32) {
            memcpy(&score, scores + 4 * i, 4);
        } else {
            int stored = out.element == PARING_I8 ? (int)(signed char)scores[i] : (int)scores[i];
            score = out.scale * (float)(stored - out.zero_point);
        }
        if (score > most) {
            most = score;
            best = i;
        }
    }
    printf("%zu %.4f\n", best, (double)most);
    paring_runner_free(runner);
    paring_model_close(model);
    free(pixels);
    free(image);
    free(scores);
    return 0;
}
