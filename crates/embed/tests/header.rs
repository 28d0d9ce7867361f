//! The C header is what cbindgen makes of the source.

use std::path::Path;

#[test]
fn the_header_is_current() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(dir.join("cbindgen.toml")).unwrap();
    let made = cbindgen::Builder::new()
        .with_src(dir.join("src/ffi.rs"))
        .with_config(config)
        .generate()
        .unwrap();
    let mut text = Vec::new();
    made.write(&mut text);
    let text = String::from_utf8(text).unwrap();
    for name in ["paring_runner_run", "paring_model_from_memory", "PARING_BOOL"] {
        assert!(text.contains(name), "{text}");
    }
    let header = dir.join("include/paring_rt.h");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&header, &text).unwrap();
    }
    let kept = std::fs::read_to_string(&header).unwrap();
    assert!(kept == text, "{} is not current; BLESS=1 rewrites it", header.display());
}
