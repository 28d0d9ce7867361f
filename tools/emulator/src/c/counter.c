/* QEMU TCG plugin: instructions executed between two guest addresses, exactly.
 *
 * Every translated block adds its number of instructions to a counter when it is entered; the two markers are blocks of
 * one instruction. Written against plugin API version 1, whose few prototypes are declared here so that
 * neither QEMU's headers nor glib are needed. Arguments: start=HEX end=HEX out=FILE.
 */
#include <stdbool.h>
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
typedef void (*executed)(unsigned, void *);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, block_translated);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *, uint64_t);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed, int flags, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

static uint64_t counter, at_start;
static uint32_t start_address, end_address;
static bool counting;
static FILE *out;

static void on_start(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    at_start = counter;
    counting = true;
}

static void on_end(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    if (counting && out) {
        /* The call of the end marker and the marker itself are not the program's. */
        fprintf(out, "%llu\n", (unsigned long long)(counter - at_start - 2));
        fflush(out);
    }
    counting = false;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    size_t n = qemu_plugin_tb_n_insns(block);
    qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &counter, n);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, i);
        uint32_t address = (uint32_t)qemu_plugin_insn_vaddr(insn);
        if (address == start_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start, 0, NULL);
        } else if (address == end_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, 0, NULL);
        }
    }
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (!value) {
            continue;
        }
        *value++ = 0;
        if (!strcmp(argv[i], "start")) {
            start_address = (uint32_t)strtoul(value, NULL, 16) & ~1u;
        } else if (!strcmp(argv[i], "end")) {
            end_address = (uint32_t)strtoul(value, NULL, 16) & ~1u;
        } else if (!strcmp(argv[i], "out")) {
            out = fopen(value, "w");
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
