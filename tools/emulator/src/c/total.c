/* QEMU TCG plugin: instructions that a user program executes, from its first to its last. Every translated block
 * adds its number of instructions to a counter when it is entered. Argument: out=FILE; with profile=FILE the counts
 * of each block's address, too. With layers=FILE the instruction `hint #100` ends a part of the program: a line
 * "= BLOCK COUNT ..." says how often which blocks were entered in it, and lines "BLOCK WORD ..." at the end what is in
 * the blocks.
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
typedef void (*block_translated)(qemu_plugin_id_t, struct qemu_plugin_tb *);
typedef void (*ended)(qemu_plugin_id_t, void *);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, block_translated);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, ended, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn;
typedef void (*executed)(unsigned, void *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed, int flags, void *);

EXPORT int qemu_plugin_version = 1;

#define MARK 0xD5032C9Fu

struct block {
    uint64_t address, instructions, seen;
    size_t number, count;
    uint32_t *words;
    struct block *next;
};

static uint64_t counter;
static struct block *blocks;
static const char *out, *profile;
static FILE *layers;

static void on_mark(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    fputc('=', layers);
    for (struct block *b = blocks; b; b = b->next) {
        if (b->instructions != b->seen) {
            fprintf(layers, " %zu %llu", b->number, (unsigned long long)((b->instructions - b->seen) / b->count));
            b->seen = b->instructions;
        }
    }
    fputc('\n', layers);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &counter, n);
    if (profile || layers) {
        struct block *block = calloc(1, sizeof *block);
        uint32_t *words = layers ? calloc(n, sizeof *words) : NULL;
        if (block) {
            block->address = qemu_plugin_tb_vaddr(tb);
            block->number = blocks ? blocks->number + 1 : 0;
            block->count = n;
            block->words = words;
            for (size_t i = 0; words && i < n; i++) {
                struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
                memcpy(&words[i], qemu_plugin_insn_data(insn), sizeof words[i]);
                if (words[i] == MARK) {
                    qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, 0, NULL);
                }
            }
            block->next = blocks;
            blocks = block;
            qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &block->instructions, n);
        }
    }
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
    (void)id;
    (void)data;
    FILE *file = out ? fopen(out, "w") : NULL;
    if (file) {
        fprintf(file, "%llu\n", (unsigned long long)counter);
        fclose(file);
    }
    if (layers) {
        for (struct block *b = blocks; b; b = b->next) {
            fprintf(layers, "%zu", b->number);
            for (size_t i = 0; b->words && i < b->count; i++) {
                fprintf(layers, " %x", b->words[i]);
            }
            fputc('\n', layers);
        }
        fclose(layers);
    }
    file = profile ? fopen(profile, "w") : NULL;
    if (file) {
        for (struct block *b = blocks; b; b = b->next) {
            fprintf(file, "%llx %llu\n", (unsigned long long)b->address, (unsigned long long)b->instructions);
        }
        fclose(file);
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (!strncmp(argv[i], "out=", 4)) {
            out = strdup(argv[i] + 4);
        } else if (!strncmp(argv[i], "profile=", 8)) {
            profile = strdup(argv[i] + 8);
        } else if (!strncmp(argv[i], "layers=", 7)) {
            layers = fopen(argv[i] + 7, "w");
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
