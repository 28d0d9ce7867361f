/* QEMU TCG plugin: what is executed between two guest addresses, and what that takes by a table of costs.
 *
 * Every translated block adds its number of instructions and its cost when it is entered; the markers are
 * blocks of one instruction. Written against plugin API version 1, whose few prototypes are declared here so
 * that neither QEMU's headers nor glib are needed.
 * Arguments: start=HEX end=HEX mark=HEX costs=FILE out=FILE. A line of costs is, for one instruction: address,
 * cycles, further cycles when what follows is not the next instruction, and whether it is of the vector
 * extension (1 load or store, 2 other). A block's vector instructions take two cycles each in their own unit.
 * Lines of out: "mark" or "end", instructions, tenths of cycles.
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
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed, int flags, void *);
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, executed, int flags, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

typedef struct {
    uint32_t address;
    int cycles, taken, vector; /* cycles in tenths */
} cost;

typedef struct {
    uint32_t first, next; /* addresses */
    uint32_t instructions, cycles, taken;
} block;

static uint64_t instructions, cycles, instructions_at_start, cycles_at_start;
static const block *previous;
static uint32_t start_address, end_address, mark_address;
static bool counting;
static cost *costs;
static size_t cost_count;
static FILE *out;

static void on_block(unsigned cpu, void *data)
{
    const block *b = (const block *)data;
    (void)cpu;
    if (previous && previous->next != b->first) {
        cycles += previous->taken;
    }
    instructions += b->instructions;
    cycles += b->cycles;
    previous = b;
}

static void report(const char *what, unsigned own)
{
    if (counting && out) {
        unsigned long long n = (unsigned long long)(instructions - instructions_at_start - own);
        fprintf(out, "%s %llu %llu\n", what, n, (unsigned long long)(cycles - cycles_at_start));
        fflush(out);
    }
}

static void on_start(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    instructions_at_start = instructions;
    cycles_at_start = cycles;
    counting = true;
}

static void on_mark(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    report("mark", 0);
}

static void on_end(unsigned cpu, void *data)
{
    (void)cpu;
    (void)data;
    /* The call of the end marker and the marker itself are not the program's. */
    report("end", 2);
    counting = false;
}

static const cost *find(uint32_t address)
{
    static const cost one = {0, 10, 0, 0};
    size_t low = 0, high = cost_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (costs[middle].address == address) {
            return &costs[middle];
        }
        if (costs[middle].address < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return &one;
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    block *b = calloc(1, sizeof *b);
    if (!b) {
        abort();
    }
    uint32_t vectors[3] = {0, 0, 0};
    size_t n = qemu_plugin_tb_n_insns(tb);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        uint32_t address = (uint32_t)qemu_plugin_insn_vaddr(insn);
        const cost *c = find(address);
        if (i == 0) {
            b->first = address;
        }
        b->next = address + (uint32_t)qemu_plugin_insn_size(insn);
        b->cycles += (uint32_t)c->cycles;
        b->taken = (uint32_t)c->taken;
        vectors[c->vector % 3]++;
        if (address == start_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_start, 0, NULL);
        } else if (address == end_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_end, 0, NULL);
        } else if (mark_address && address == mark_address) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, 0, NULL);
        }
    }
    b->instructions = (uint32_t)n;
    for (int i = 1; i < 3; i++) {
        if (b->cycles < 20 * vectors[i]) {
            b->cycles = 20 * vectors[i];
        }
    }
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, 0, b);
}

static void read_costs(const char *name)
{
    FILE *file = fopen(name, "r");
    size_t room = 0;
    cost c;
    while (file && fscanf(file, "%x %d %d %d", &c.address, &c.cycles, &c.taken, &c.vector) == 4) {
        if (cost_count == room) {
            room = room ? 2 * room : 1024;
            costs = realloc(costs, room * sizeof *costs);
            if (!costs) {
                abort();
            }
        }
        costs[cost_count++] = c;
    }
    if (file) {
        fclose(file);
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
        } else if (!strcmp(argv[i], "mark")) {
            mark_address = (uint32_t)strtoul(value, NULL, 16) & ~1u;
        } else if (!strcmp(argv[i], "costs")) {
            read_costs(value);
        } else if (!strcmp(argv[i], "out")) {
            out = fopen(value, "w");
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
