//! Builds and runs Cortex-M packages under QEMU and counts what they execute.
