/* Runs packages made by `paring compile --target aarch64`.
 *
 * Link with libparing_rt.so, or with libparing_rt.a and -lpthread -ldl -lm.
 *
 * Functions that can fail return PARING_OK or a code below; paring_last_error() then says why, for the thread
 * that called. Nothing unwinds into the caller or ends the process.
 *
 * Made from src/ffi.rs with cbindgen; `BLESS=1 cargo test -p paring-embed --test header` makes it anew.
 */

#ifndef PARING_RT_H
#define PARING_RT_H

#include <stddef.h>
#include <stdint.h>

// The version of the interface; `paring_abi_version` gives that of the library.
#define PARING_ABI_VERSION 1

// Done.
#define PARING_OK 0

// A pointer is null or a number is out of range.
#define PARING_ARGUMENT 1

// The file or its contents are not as they should be.
#define PARING_OPEN 2

// An inference failed.
#define PARING_RUN 3

// A fault of the library.
#define PARING_INTERNAL 4

// Elements of 32-bit floating point.
#define PARING_F32 0

// Signed bytes.
#define PARING_I8 1

// Bytes.
#define PARING_U8 2

// 16-bit integers.
#define PARING_I16 3

// 32-bit integers.
#define PARING_I32 4

// 64-bit integers.
#define PARING_I64 5

// Truth values, one a byte.
#define PARING_BOOL 6

// Elements of 16-bit floating point.
#define PARING_F16 7

// Most extents that a description holds.
#define PARING_MAX_RANK 8

// A network that is ready to run. Many threads may use it at once.
typedef struct paring_model paring_model;

// Runs a network, with memory of its own. One thread at a time may use it.
typedef struct paring_runner paring_runner;

// An input or output. Quantized elements stand for `scale * (stored - zero_point)`.
typedef struct paring_port {
    // Lives as long as the model.
    const char *name;
    // Bytes of all elements.
    size_t bytes;
    // 0 where the elements are not quantized.
    float scale;
    // The number that stands for 0.
    int32_t zero_point;
    // `PARING_F32` and so on.
    uint32_t element;
    // How many extents there are.
    uint32_t rank;
    // The extents. One that depends on the data is the most that it can be here; `paring_runner_shape` tells what it
    // became.
    size_t shape[PARING_MAX_RANK];
} paring_port;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library's interface; programs compare it with `PARING_ABI_VERSION`.
uint32_t paring_abi_version(void);

// Why the last call that failed on this thread did. The text stays until the next one fails there.
const char *paring_last_error(void);

// Maps a package. The file must not change while it is in use.
//
// # Safety
// `path` is a C string and `out` a place for a pointer, or null.
int paring_model_open(const char *path, struct paring_model **out);

// Takes a package that is in memory and stays there. Where it does not begin at a multiple of 64 bytes it is
// copied.
//
// # Safety
// `data` has `len` bytes, which do not change while the model or a runner of it exists; `out` is a place
// for a pointer, or null.
int paring_model_from_memory(const void *data, size_t len, struct paring_model **out);

// Closes a model; its runners stay valid.
//
// # Safety
// `model` is null or was given by this library and not closed.
void paring_model_close(struct paring_model *model);

// The number of inputs.
//
// # Safety
// `model` is null or an open model.
size_t paring_model_inputs(const struct paring_model *model);

// The number of outputs.
//
// # Safety
// `model` is null or an open model.
size_t paring_model_outputs(const struct paring_model *model);

// Bytes of activations that each runner takes.
//
// # Safety
// `model` is null or an open model.
size_t paring_model_arena(const struct paring_model *model);

// Describes an input.
//
// # Safety
// `model` is null or an open model, `out` null or a place for a description.
int paring_model_input(const struct paring_model *model, size_t index, struct paring_port *out);

// Describes an output.
//
// # Safety
// `model` is null or an open model, `out` null or a place for a description.
int paring_model_output(const struct paring_model *model, size_t index, struct paring_port *out);

// Makes a runner.
//
// # Safety
// `model` is null or an open model, `out` null or a place for a pointer.
int paring_runner_new(const struct paring_model *model, struct paring_runner **out);

// Ends a runner.
//
// # Safety
// `runner` is null or was given by this library and not ended.
void paring_runner_free(struct paring_runner *runner);

// Sets the states of a network that has some to what they begin with.
//
// # Safety
// `runner` is null or a runner that no other thread uses.
int paring_runner_reset(struct paring_runner *runner);

// The extents of an output after the last run: as many as its description says. Where one depends on the data, the
// elements are the first of the output's bytes, and what follows means nothing.
//
// # Safety
// `runner` is null or a runner that no other thread uses; `shape` is null or has places for `PARING_MAX_RANK` extents.
int paring_runner_shape(const struct paring_runner *runner,
                        size_t output,
                        size_t *shape);

// Computes the outputs. Nothing is kept of the inputs.
//
// # Safety
// `runner` is null or a runner that no other thread uses; `inputs` and `outputs` have a pointer for each
// input and output, each to as many bytes as its description says, outputs apart from everything else.
int paring_runner_run(struct paring_runner *runner, const void *const *inputs, void *const *outputs);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* PARING_RT_H */
