/* Runs packages made by `paring compile --target aarch64`.
 *
 * Link with libparing_rt.so, or with libparing_rt.a and -lpthread -ldl -lm.
 *
 * A model may be used by many threads at once, a runner by one at a time. Functions that can fail return 0
 * or a code below; paring_last_error() then says why, for the thread that called. Nothing unwinds or exits.
 */
#ifndef PARING_RT_H
#define PARING_RT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The interface of this header; paring_abi_version() is that of the library. */
#define PARING_ABI_VERSION 1

enum {
    PARING_OK = 0,
    PARING_ARGUMENT = 1, /* a pointer is null or a number is out of range */
    PARING_OPEN = 2,     /* the file or its contents */
    PARING_RUN = 3,      /* an inference failed */
    PARING_INTERNAL = 4  /* a fault of the library */
};

enum {
    PARING_F32 = 0,
    PARING_I8 = 1,
    PARING_U8 = 2,
    PARING_I16 = 3,
    PARING_I32 = 4,
    PARING_I64 = 5,
    PARING_BOOL = 6
};

typedef struct paring_model paring_model;
typedef struct paring_runner paring_runner;

/* An input or output. Quantized elements stand for scale * (stored - zero_point); scale is 0 for others. */
typedef struct {
    const char *name; /* lives as long as the model */
    size_t bytes;
    float scale;
    int32_t zero_point;
    uint32_t element;
    uint32_t rank;
    size_t shape[8];
} paring_port;

uint32_t paring_abi_version(void);
const char *paring_last_error(void);

/* Maps a package; the file must not change while it is in use. */
int paring_model_open(const char *path, paring_model **out);
/* Takes a package in memory, which stays the caller's and unchanged until the model and its runners are gone. Where it
 * does not begin at a multiple of 64 bytes it is copied. */
int paring_model_from_memory(const void *data, size_t len, paring_model **out);
/* Runners of a closed model stay valid. */
void paring_model_close(paring_model *model);

size_t paring_model_inputs(const paring_model *model);
size_t paring_model_outputs(const paring_model *model);
/* Bytes of activations that each runner takes. */
size_t paring_model_arena(const paring_model *model);
int paring_model_input(const paring_model *model, size_t index, paring_port *out);
int paring_model_output(const paring_model *model, size_t index, paring_port *out);

int paring_runner_new(const paring_model *model, paring_runner **out);
void paring_runner_free(paring_runner *runner);
/* Sets the states of a network that has some to what they begin with. */
int paring_runner_reset(paring_runner *runner);
/* One pointer an input and output, each to as many bytes as its description says. */
int paring_runner_run(paring_runner *runner, const void *const *inputs, void *const *outputs);

#ifdef __cplusplus
}
#endif

#endif
