use paring_backend::{Backend, CompileOptions};
use paring_emulator::{Build, Core, Entry, run};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let model = &args[1];
    let core: Core = args[2].parse().unwrap();
    let text = std::fs::read_to_string(format!("/tmp/m/{model}.txt")).unwrap();
    let graph = paring_ir::text::parse(&text).unwrap_or_else(|e| panic!("{e}"));
    let options = CompileOptions { target: format!("cortex-{core}"), ..Default::default() };
    let t = std::time::Instant::now();
    let package = paring_cortex_m::CORTEX_M
        .compile(graph.verified().unwrap(), &options)
        .unwrap_or_else(|e| panic!("{e}"));
    let took = t.elapsed();
    let n = |v| graph.ty(v).byte_len().unwrap();
    let (ni, no) = (n(graph.inputs()[0].value), n(graph.outputs()[0].value));
    let samples: Vec<Vec<u8>> = std::fs::read(format!("/tmp/m/{model}.in"))
        .unwrap()
        .chunks(ni)
        .take(args.get(4).map_or(3, |a| a.parse().unwrap()))
        .map(|c| c.to_vec())
        .collect();
    let want: Vec<Vec<u8>> = std::fs::read(format!("/tmp/m/{model}.out"))
        .unwrap()
        .chunks(no)
        .map(|c| c.to_vec())
        .collect();
    let flags: Vec<String> =
        args.get(3).map_or("-O2", |s| s.as_str()).split(',').map(String::from).collect();
    let build = Build {
        files: package
            .files
            .iter()
            .filter(|f| !f.0.ends_with("txt") && !f.0.ends_with("_test.c"))
            .map(|f| (f.0.clone(), String::from_utf8(f.1.clone()).unwrap()))
            .collect(),
        entry: Entry {
            includes: "#include \"model.h\"\n#include <string.h>".into(),
            prepare: format!("memcpy(model_input_0(), emu_in, {ni});"),
            invoke: "model_run();".into(),
            finish: format!("memcpy(emu_out, model_output_0(), {no});"),
        },
        output_bytes: no,
        flags,
        work_dir: Some(format!("/tmp/m/{model}_{core}").into()),
        ..Build::new(core)
    };
    let r = run(&build, &samples).unwrap_or_else(|e| panic!("{e}"));
    let equal = r.outputs.iter().zip(&want).all(|(a, b)| a == b);
    println!(
        "{model} {core}: equal {equal}, {:.3} M instructions, arena {} stack {} flash {} = code {} + const {} ({took:?})",
        r.instructions as f64 / 1e6,
        r.ram_bytes,
        r.stack_bytes,
        r.flash_bytes,
        r.code_bytes,
        r.weight_bytes
    );
}
