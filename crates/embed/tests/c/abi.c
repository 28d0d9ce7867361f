/* Uses every function of the C interface, on packages that are whole and on others, from one thread and from four.
 * Argument: a directory with a.prt, b.prt, their inputs (a.in, b.in) and outputs (a.out, b.out), and damaged packages.
 */
#include <paring_rt.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(what)                                                                            \
    do {                                                                                       \
        if (!(what)) {                                                                         \
            fprintf(stderr, "line %d: %s (%s)\n", __LINE__, #what, paring_last_error());       \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)

static const char *directory;

static char *path(const char *name)
{
    static _Thread_local char text[4096];
    snprintf(text, sizeof text, "%s/%s", directory, name);
    return text;
}

/* A whole file, with room before it so that it can be put at an odd address. */
static unsigned char *contents(const char *name, size_t *len)
{
    FILE *file = fopen(path(name), "rb");
    CHECK(file);
    fseek(file, 0, SEEK_END);
    *len = (size_t)ftell(file);
    rewind(file);
    unsigned char *data = malloc(*len + 1);
    CHECK(data && fread(data, 1, *len, file) == *len);
    fclose(file);
    return data;
}

/* Where each input or output begins in the bytes of all. */
static void places(const paring_model *m, int output, unsigned char *bytes, size_t len, void **place)
{
    size_t n = output ? paring_model_outputs(m) : paring_model_inputs(m);
    size_t at = 0;
    CHECK(n > 0 && n <= 8);
    for (size_t i = 0; i < n; i++) {
        paring_port port;
        CHECK((output ? paring_model_output(m, i, &port) : paring_model_input(m, i, &port)) == PARING_OK);
        CHECK(port.name && port.element == PARING_I8 && port.scale > 0 && port.rank <= PARING_MAX_RANK);
        size_t elements = 1;
        for (uint32_t k = 0; k < port.rank; k++) {
            elements *= port.shape[k];
        }
        CHECK(elements == port.bytes);
        place[i] = bytes + at;
        at += port.bytes;
    }
    CHECK(at == len);
}

struct work {
    const paring_model *model;
    const char *in, *out;
    int times;
};

static void *run_often(void *data)
{
    const struct work *w = data;
    size_t in_len, out_len;
    unsigned char *in = contents(w->in, &in_len);
    unsigned char *want = contents(w->out, &out_len);
    unsigned char *got = malloc(out_len);
    void *inputs[8], *outputs[8];
    places(w->model, 0, in, in_len, inputs);
    places(w->model, 1, got, out_len, outputs);
    paring_runner *runner;
    CHECK(paring_runner_new(w->model, &runner) == PARING_OK);
    for (int i = 0; i < w->times; i++) {
        memset(got, i, out_len);
        CHECK(paring_runner_run(runner, (const void *const *)inputs, outputs) == PARING_OK);
        CHECK(!memcmp(got, want, out_len));
        paring_port port;
        size_t shape[PARING_MAX_RANK];
        CHECK(paring_model_output(w->model, 0, &port) == PARING_OK);
        CHECK(paring_runner_shape(runner, 0, shape) == PARING_OK);
        CHECK(!memcmp(shape, port.shape, port.rank * sizeof shape[0]));
        CHECK(paring_runner_shape(runner, 9, shape) == PARING_ARGUMENT);
        if (i == 0) {
            CHECK(paring_runner_reset(runner) == PARING_OK);
        }
    }
    paring_runner_free(runner);
    free(in);
    free(want);
    free(got);
    return NULL;
}

static void refused(const char *name, const char *word)
{
    paring_model *m = NULL;
    int status = paring_model_open(path(name), &m);
    if (status != PARING_OPEN || m || !strstr(paring_last_error(), word)) {
        fprintf(stderr, "%s: %d, %s; expected `%s`\n", name, status, paring_last_error(), word);
        exit(1);
    }
}

static void *other_thread(void *unused)
{
    (void)unused;
    /* What failed elsewhere is not this thread's. */
    CHECK(!*paring_last_error());
    CHECK(paring_model_open(NULL, NULL) == PARING_ARGUMENT);
    CHECK(strstr(paring_last_error(), "null"));
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    directory = argv[1];
    CHECK(paring_abi_version() == PARING_ABI_VERSION);
    CHECK(!*paring_last_error());

    refused("absent.prt", "absent.prt");
    refused("magic.prt", "no package");
    refused("version.prt", "version 77");
    refused("family.prt", "made for x86");
    refused("program.prt", "damaged");
    refused("cut.prt", "damaged");
    refused("empty.prt", "");
    refused("head.prt", "damaged");
    pthread_t thread;
    refused("cut.prt", "damaged");
    CHECK(!pthread_create(&thread, NULL, other_thread, NULL) && !pthread_join(thread, NULL));
    CHECK(strstr(paring_last_error(), "damaged"));

    paring_model *a, *b;
    CHECK(paring_model_open(path("a.prt"), &a) == PARING_OK);
    CHECK(paring_model_open(path("b.prt"), &b) == PARING_OK);
    CHECK(paring_model_arena(a) > 0);

    /* Pointers that are null and numbers that are out of range. */
    paring_port port;
    paring_runner *runner;
    CHECK(paring_model_open(path("a.prt"), NULL) == PARING_ARGUMENT);
    CHECK(paring_model_from_memory(NULL, 0, &a) == PARING_ARGUMENT);
    CHECK(paring_model_input(a, 1000, &port) == PARING_ARGUMENT);
    CHECK(paring_model_output(a, (size_t)-1, &port) == PARING_ARGUMENT);
    CHECK(paring_model_input(NULL, 0, &port) == PARING_ARGUMENT);
    CHECK(paring_model_input(a, 0, NULL) == PARING_ARGUMENT);
    CHECK(paring_runner_new(NULL, &runner) == PARING_ARGUMENT);
    CHECK(paring_runner_new(a, NULL) == PARING_ARGUMENT);
    CHECK(paring_runner_run(NULL, NULL, NULL) == PARING_ARGUMENT);
    CHECK(paring_runner_reset(NULL) == PARING_ARGUMENT);
    CHECK(paring_runner_shape(NULL, 0, NULL) == PARING_ARGUMENT);
    CHECK(paring_model_inputs(NULL) == 0 && paring_model_outputs(NULL) == 0 && paring_model_arena(NULL) == 0);
    paring_model_close(NULL);
    paring_runner_free(NULL);
    CHECK(paring_runner_new(a, &runner) == PARING_OK);
    const void *no_inputs[8] = {NULL};
    void *no_outputs[8] = {NULL};
    CHECK(paring_runner_run(runner, NULL, no_outputs) == PARING_ARGUMENT);
    CHECK(paring_runner_run(runner, no_inputs, no_outputs) == PARING_ARGUMENT);
    paring_runner_free(runner);

    /* Two models in four threads. */
    struct work work[4] = {{a, "a.in", "a.out", 100}, {b, "b.in", "b.out", 100},
                           {a, "a.in", "a.out", 100}, {b, "b.in", "b.out", 100}};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(!pthread_create(&threads[i], NULL, run_often, &work[i]));
    }
    for (int i = 0; i < 4; i++) {
        CHECK(!pthread_join(threads[i], NULL));
    }

    /* A runner outlives its model. */
    size_t in_len, out_len;
    unsigned char *in = contents("a.in", &in_len), *want = contents("a.out", &out_len);
    unsigned char *got = calloc(out_len, 1);
    void *inputs[8], *outputs[8];
    places(a, 0, in, in_len, inputs);
    places(a, 1, got, out_len, outputs);
    CHECK(paring_runner_new(a, &runner) == PARING_OK);
    paring_model_close(a);
    CHECK(paring_runner_run(runner, (const void *const *)inputs, outputs) == PARING_OK);
    CHECK(!memcmp(got, want, out_len));
    paring_runner_free(runner);

    /* From memory, at any address. */
    size_t len;
    unsigned char *bytes = contents("b.prt", &len);
    memmove(bytes + 1, bytes, len);
    paring_model *c;
    CHECK(paring_model_from_memory(bytes + 1, len, &c) == PARING_OK);
    struct work last = {c, "b.in", "b.out", 2};
    run_often(&last);
    paring_model_close(c);
    CHECK(paring_model_from_memory(bytes + 1, len / 2, &c) == PARING_OPEN);
    paring_model_close(b);
    free(bytes);
    free(in);
    free(want);
    free(got);
    puts("ok");
    return 0;
}
