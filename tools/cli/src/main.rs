//! The `paring` program.

fn main() {
    paring_cli::main();
}
