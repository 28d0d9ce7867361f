/* QEMU TCG plugin: the blocks of instructions that a user program executes, and how often. Argument: out=FILE; each
 * line of it is a number of executions and the bytes of the block's instructions.
 *
 * Written against plugin API version 1, whose few prototypes are declared here so that neither QEMU's headers nor
 * glib are needed.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*block_translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*ended)(qemu_plugin_id_t, void *);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, block_translated);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, ended, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

struct block {
    uint64_t executions;
    struct block *next;
    size_t n;
    uint32_t code[];
};

static struct block *blocks;
static const char *out;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(tb);
    struct block *block = calloc(1, sizeof *block + n * sizeof block->code[0]);
    if (!block) {
        return;
    }
    block->n = n;
    block->next = blocks;
    blocks = block;
    for (size_t i = 0; i < n; i++) {
        memcpy(&block->code[i], qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof block->code[i]);
    }
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &block->executions, 1);
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    FILE *file = out ? fopen(out, "w") : NULL;
    if (!file) {
        return;
    }
    for (struct block *b = blocks; b; b = b->next) {
        const unsigned char *bytes = (const unsigned char *)b->code;
        fprintf(file, "%llu ", (unsigned long long)b->executions);
        for (size_t i = 0; i < b->n * sizeof b->code[0]; i++) {
            fprintf(file, "%02x", bytes[i]);
        }
        fputc('\n', file);
    }
    fclose(file);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4)) {
            out = strdup(argv[i] + 4);
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
