//! The C interface from C: against the library of this machine, and against that for aarch64 under the
//! emulator, linked statically and dynamically.

use paring_backend::{Backend, CompileOptions, ExecOptions};
use paring_emulator::{Cpu, Runtime, cross_compile_c, missing_aarch64_packages, run_program};
use paring_ir::Graph;
use paring_neon::Neon;
use paring_opsuite::random::{Grower, Random, input};
use paring_tensor::Tensor;
use std::path::{Path, PathBuf};
use std::process::Command;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

fn joined(tensors: &[Tensor]) -> Vec<u8> {
    tensors.iter().flat_map(|t| t.bytes().iter().copied()).collect()
}

/// A network of integers that has a package.
fn network(from: u64) -> (Graph, Vec<u8>) {
    for seed in from.. {
        let graph = Grower::new(seed, true).grow(5);
        let options = CompileOptions { target: "aarch64".to_owned(), ..CompileOptions::default() };
        if let Ok(package) = Neon.compile(graph.verified().unwrap(), &options) {
            let (_, bytes) = package.files.into_iter().find(|f| f.0.ends_with(".prt")).unwrap();
            return (graph, bytes);
        }
    }
    unreachable!()
}

/// Writes what `abi.c` reads.
fn write_packages(dir: &Path) {
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.join(name), bytes).unwrap();
    let mut last = Vec::new();
    for (name, seed) in [("a", 3000), ("b", 4000)] {
        let (graph, package) = network(seed);
        let reference = paring_reference::Reference.executor(ExecOptions::default()).unwrap();
        let mut session = reference.prepare(graph.verified().unwrap()).unwrap();
        let ports = graph.inputs().iter();
        let inputs: Vec<Tensor> =
            ports.map(|p| input(&mut Random(seed), graph.ty(p.value))).collect();
        write(&format!("{name}.in"), &joined(&inputs));
        write(&format!("{name}.out"), &joined(&session.run(&inputs).unwrap()));
        write(&format!("{name}.prt"), &package);
        last = package;
    }
    write("magic.prt", b"no such thing as a package, but long enough to be one, is in this file");
    write("empty.prt", b"");
    write("cut.prt", &last[..last.len() / 2]);
    write("head.prt", &last[..20]);
    let changed = |at: usize, bytes: &[u8]| {
        let mut package = last.clone();
        package[at..at + bytes.len()].copy_from_slice(bytes);
        package
    };
    write("version.prt", &changed(8, &77_u32.to_le_bytes()));
    write("program.prt", &changed(100, &[last[100] ^ 1]));
    let program = paring_engine::Engine::new(
        "portable",
        Box::new(paring_kernels::Portable),
        ExecOptions::default(),
        None,
    );
    let graph = Grower::new(0, false).grow(1);
    let program = program.program(graph.verified().unwrap()).unwrap();
    write("family.prt", &program.to_package("x86"));
}

/// Arguments of a C compiler.
fn arguments(library: &[String], program: &Path) -> Vec<String> {
    let mut args = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1"].map(str::to_owned).to_vec();
    args.push(format!("-I{CRATE}/include"));
    args.push(format!("{CRATE}/tests/c/abi.c"));
    args.extend_from_slice(library);
    args.extend(["-lpthread", "-ldl", "-lm", "-o"].map(str::to_owned));
    args.push(program.display().to_string());
    args
}

/// Links with the static library, and with the shared one found where it is.
fn libraries(archive: &Path, shared: &Path) -> [Vec<String>; 2] {
    let text = |p: &Path| p.display().to_string();
    let beside = shared.parent().unwrap().display();
    [vec![text(archive)], vec![text(shared), format!("-Wl,-rpath,{beside}")]]
}

/// The newest file beside this program that begins and ends so.
fn built(begin: &str, end: &str) -> PathBuf {
    let dir = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let files = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap());
    let fits = |name: &str| name.starts_with(begin) && name.ends_with(end);
    let newest = files
        .filter(|f| fits(&f.file_name().to_string_lossy()))
        .max_by_key(|f| f.metadata().and_then(|m| m.modified()).unwrap());
    newest.unwrap_or_else(|| panic!("no {begin}*{end} in {}", dir.display())).path()
}

#[test]
fn c_programs_on_this_machine() {
    if Command::new("cc").arg("--version").output().is_err() {
        eprintln!("skipped: not installed: gcc");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    write_packages(dir.path());
    let (archive, shared) = (built("libparing_rt", ".a"), built("libparing_rt", ".so"));
    for library in libraries(&archive, &shared) {
        let program = dir.path().join("abi");
        let output = Command::new("cc").args(arguments(&library, &program)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let output = Command::new(&program).arg(dir.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{library:?}: {errors}");
        assert_eq!(output.stdout, b"ok\n");
    }
}

#[test]
fn c_programs_on_aarch64_and_the_size_of_the_library() {
    let missing = missing_aarch64_packages();
    if !missing.is_empty() {
        eprintln!("skipped: not installed: {}", missing.join(" "));
        return;
    }
    let root = Path::new(CRATE).join("../..");
    let runtime = Runtime::build(&root).unwrap_or_else(|e| panic!("{e}"));
    let bytes = std::fs::metadata(runtime.shared_library()).unwrap().len();
    assert!(bytes <= 1_000_000, "the stripped library has {bytes} bytes");
    let dir = tempfile::tempdir().unwrap();
    write_packages(dir.path());
    let (archive, shared) = (runtime.static_library(), runtime.shared_library());
    for library in libraries(&archive, &shared) {
        let program = dir.path().join("abi");
        cross_compile_c(dir.path(), &arguments(&library, &program))
            .unwrap_or_else(|e| panic!("{e}"));
        for cpu in [Cpu::CortexA53, Cpu::CortexA76] {
            let said = run_program(&program, &["."], dir.path(), cpu, None);
            assert_eq!(said.unwrap_or_else(|e| panic!("{library:?}: {e}")), "ok\n");
        }
    }
}
