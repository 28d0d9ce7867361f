/* Start-up of the emulated boards: vectors, .data and .bss, FPU and MVE on, semihosting. */
#include <stdint.h>

extern uint32_t emu_stack_top, emu_data_load, emu_data_start, emu_data_end, emu_bss_start, emu_bss_end;
extern int main(void);
void Reset_Handler(void);

__attribute__((noinline)) int emu_semihost(int operation, const void *argument)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void emu_exit(int code)
{
    uint32_t block[2] = {0x20026u, (uint32_t)code}; /* ADP_Stopped_ApplicationExit */
    emu_semihost(0x20, block);
    for (;;) {
    }
}

static void fault(void)
{
    emu_exit(99);
}

__attribute__((section(".vectors"), used)) const void *const emu_vectors[16] = {
    &emu_stack_top, (const void *)Reset_Handler,
    (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, 0, 0, 0,
    (const void *)fault, (const void *)fault, 0, (const void *)fault, (const void *)fault,
};

void Reset_Handler(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: coprocessors 10 and 11 */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
    uint32_t *source = &emu_data_load;
    for (uint32_t *to = &emu_data_start; to < &emu_data_end;) {
        *to++ = *source++;
    }
    for (uint32_t *to = &emu_bss_start; to < &emu_bss_end;) {
        *to++ = 0;
    }
    emu_exit(main());
}

/* The counted region lies between the execution of these two. */
__attribute__((naked, noinline, used)) void emu_begin(void)
{
    __asm__ volatile("bx lr");
}

__attribute__((naked, noinline, used)) void emu_end(void)
{
    __asm__ volatile("bx lr");
}

/* Programs may call this between their parts. */
__attribute__((naked, noinline, used)) void emu_mark(void *unused, int part)
{
    (void)unused, (void)part;
    __asm__ volatile("bx lr");
}
