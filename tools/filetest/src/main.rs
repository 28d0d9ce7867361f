//! `filetest FILE|DIR ...` checks golden files; `BLESS=1` rewrites what they expect.

use anyhow::Result;
use std::path::Path;

fn main() -> Result<()> {
    let bless = std::env::var_os("BLESS").is_some();
    let mut failed = 0;
    for arg in std::env::args().skip(1) {
        let path = Path::new(&arg);
        let files =
            if path.is_dir() { paring_filetest::files(path)? } else { vec![path.to_owned()] };
        for file in files {
            if let Err(e) = paring_filetest::check(&file, bless) {
                eprintln!("{}: {e:#}", file.display());
                failed += 1;
            }
        }
    }
    std::process::exit(i32::from(failed > 0));
}
