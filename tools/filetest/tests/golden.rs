//! Every file below `tests/golden`.

use std::path::Path;

#[test]
fn golden_files_hold() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let bless = std::env::var_os("BLESS").is_some();
    let files = paring_filetest::files(&dir).unwrap();
    assert!(!files.is_empty());
    let failures: Vec<String> = files
        .iter()
        .filter_map(|f| {
            let error = paring_filetest::check(f, bless).err()?;
            Some(format!("{}: {error:#}", f.strip_prefix(&dir).unwrap_or(f).display()))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} fail\n{}",
        failures.len(),
        files.len(),
        failures.join("\n")
    );
}
