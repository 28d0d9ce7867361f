/* Feeds samples from IN to the program under test, one run a sample, and writes outputs and stack depths. */
#include <stddef.h>
#include <stdint.h>
@INCLUDES@

int emu_semihost(int operation, const void *argument);
void emu_exit(int code);
void emu_begin(void);
void emu_end(void);

#define INPUT_BYTES @INPUT_BYTES@
#define OUTPUT_BYTES @OUTPUT_BYTES@
#define SAMPLES @SAMPLES@
#define PAINTED_WORDS 4096
#define PAINT 0xC5C5A5A5u

static uint32_t emu_in_words[(INPUT_BYTES + 7) / 4];
static uint32_t emu_out_words[(OUTPUT_BYTES + 7) / 4];

static int open_file(const char *name, unsigned length, unsigned mode)
{
    const uint32_t block[3] = {(uint32_t)(uintptr_t)name, mode, length};
    int handle = emu_semihost(0x01, block);
    if (handle < 0) {
        emu_exit(98);
    }
    return handle;
}

static void transfer(int operation, int handle, const void *data, unsigned length)
{
    const uint32_t block[3] = {(uint32_t)handle, (uint32_t)(uintptr_t)data, length};
    if (length != 0 && emu_semihost(operation, block) != 0) {
        emu_exit(97);
    }
}

__attribute__((noinline)) static void invoke(void)
{
    uint8_t *emu_in = (uint8_t *)emu_in_words;
    uint8_t *emu_out = (uint8_t *)emu_out_words;
    (void)emu_in;
    (void)emu_out;
    @PREPARE@
    emu_begin();
    @INVOKE@
    emu_end();
    @FINISH@
}

int main(void)
{
    int in = open_file("in.bin", 6, 1);
    int out = open_file("out.bin", 7, 5);
    for (int sample = 0; sample < SAMPLES; sample++) {
        transfer(0x06, in, emu_in_words, INPUT_BYTES);
        uint32_t *top;
        __asm__ volatile("mov %0, sp" : "=r"(top));
        for (int i = 1; i <= PAINTED_WORDS; i++) {
            *(volatile uint32_t *)(top - i) = PAINT;
        }
        invoke();
        int depth = PAINTED_WORDS;
        while (depth > 0 && *(volatile uint32_t *)(top - depth) == PAINT) {
            depth--;
        }
        uint32_t bytes = (uint32_t)depth * 4;
        transfer(0x05, out, emu_out_words, OUTPUT_BYTES);
        transfer(0x05, out, &bytes, 4);
    }
    return 0;
}
