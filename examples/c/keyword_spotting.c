/* Spots keywords: keyword_spotting PACKAGE FEATURES... prints the word in each window of features.
 *
 * A file holds the features of a second of sound, in the bytes that the model takes; a program on a device computes
 * them from its microphone and keeps one runner for all of them.
 */
#include <paring_rt.h>

#include <stdio.h>
#include <stdlib.h>

/* The words of the model of MLPerf Tiny. */
static const char *const words[12] = {"down",  "go",   "left", "no",  "off",     "on",
                                      "right", "stop", "up",   "yes", "silence", "unknown"};

static void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fail("usage", "keyword_spotting PACKAGE FEATURES...");
    }
    paring_model *model;
    paring_runner *runner;
    paring_port in, out;
    if (paring_model_open(argv[1], &model) || paring_model_input(model, 0, &in) || paring_model_output(model, 0, &out)
        || paring_runner_new(model, &runner)) {
        fail(argv[1], paring_last_error());
    }
    if (paring_model_inputs(model) != 1 || paring_model_outputs(model) != 1 || out.element != PARING_I8
        || out.bytes != 12) {
        fail(argv[1], "the model has no twelve words of bytes");
    }
    signed char scores[12];
    unsigned char *features = malloc(in.bytes);
    if (!features) {
        fail(argv[0], "no memory");
    }
    const void *inputs[] = {features};
    void *outputs[] = {scores};
    for (int i = 2; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file || fread(features, 1, in.bytes, file) != in.bytes) {
            fail(argv[i], "cannot be read, or is too short");
        }
        fclose(file);
        if (paring_runner_run(runner, inputs, outputs)) {
            fail(argv[i], paring_last_error());
        }
        int best = 0;
        for (int k = 1; k < 12; k++) {
            if (scores[k] > scores[best]) {
                best = k;
            }
        }
        printf("%d %.4f %s\n", best, (double)(out.scale * (float)(scores[best] - out.zero_point)), words[best]);
    }
    free(features);
    paring_runner_free(runner);
    paring_model_close(model);
    return 0;
}
