//! Packages are built the way their users build them, and what was built runs on an emulated core.

use std::path::{Path, PathBuf};
use std::process::Command;

use paring_backend::{Backend, CompileOptions, Package};
use paring_cortex_m::CORTEX_M;
use paring_emulator::{Build, Core, Entry, missing_packages};

/// A convolution, a depthwise one, a sum, a pool and a fully connected layer.
fn network(seed: u64) -> String {
    format!(
        "graph @net {{
           %x = input : i8[1,10,8,3] q(0.02, 3)
           %w = const fill(seed={seed}) : i8[8,3,3,3] q(0.01, 0)
           %b = const fill(seed=7) : i32[8] q(0.0002, 0)
           %a = conv2d(%x, %w, %b) {{ activation = \"relu\", groups = 1, pad = \"same\", stride = [1, 1] }} : i8[1,10,8,8] q(0.05, -128)
           %v = const fill(seed=3) : i8[8,3,3,1] q(0.01, 0)
           %d = conv2d(%a, %v) {{ groups = 8, pad = \"same\", stride = [1, 1] }} : i8[1,10,8,8] q(0.1, -5)
           %s = binary(%a, %d) {{ f = \"add\" }} : i8[1,10,8,8] q(0.12, -20)
           %p = pool(%s) {{ kernel = [10, 8], kind = \"average\", pad = \"valid\", stride = [10, 8] }} : i8[1,1,1,8] q(0.12, -20)
           %r = reshape(%p) {{ shape = [1, 8] }} : i8[1,8] q(0.12, -20)
           %f = const fill(seed=5) : i8[4,8] q(0.01, 0)
           %y = dense(%r, %f) : i8[1,4] q(0.05, 1)
           output %y
         }}"
    )
}

const INPUT_BYTES: usize = 240;
const OUTPUT_BYTES: usize = 4;

fn package(prefix: &str, seed: u64, core: Core, layout: &str) -> Package {
    let graph = paring_ir::text::parse(&network(seed)).unwrap_or_else(|e| panic!("{e}"));
    let options = CompileOptions {
        target: format!("cortex-{core}"),
        prefix: prefix.into(),
        settings: [("package".to_string(), layout.to_string())].into(),
    };
    let verified = graph.verified().unwrap_or_else(|e| panic!("{e}"));
    CORTEX_M.compile(verified, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// Whether the emulator and these programs are here; a line says what is not.
fn ready(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = |p: &&&str| std::env::split_paths(&path).any(|dir| dir.join(p).is_file());
    let missing = missing_packages();
    let absent: Vec<_> = programs.iter().filter(|p| !found(p)).collect();
    if !missing.is_empty() || !absent.is_empty() {
        println!("skipped: install {} {absent:?}", missing.join(" "));
    }
    missing.is_empty() && absent.is_empty()
}

fn samples() -> Vec<Vec<u8>> {
    let mut state = 5_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..3).map(|_| (0..INPUT_BYTES).map(|_| next()).collect()).collect()
}

/// Sources and headers of a plain package, without its self-test.
fn sources(package: &Package) -> Vec<(String, String)> {
    let is_code =
        |name: &str| (name.ends_with(".h") || name.ends_with(".c")) && !name.ends_with("_test.c");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let files = package.files.iter().filter(|(name, _)| is_code(name));
    files.map(|(name, bytes)| (name.clone(), text(bytes))).collect()
}

fn run(
    core: Core,
    files: Vec<(String, String)>,
    objects: Vec<PathBuf>,
    entry: Entry,
) -> Vec<Vec<u8>> {
    let flags = ["-O2", "-Wall", "-Wextra", "-Werror"].map(String::from).to_vec();
    let build =
        Build { files, objects, entry, flags, output_bytes: OUTPUT_BYTES, ..Build::new(core) };
    let report = paring_emulator::run(&build, &samples()).unwrap_or_else(|e| panic!("{core}: {e}"));
    report.outputs
}

/// What a network with this prefix is called with on its static arena.
fn entry(prefix: &str) -> Entry {
    Entry {
        includes: format!("#include <string.h>\n#include \"{prefix}.h\""),
        prepare: format!("memcpy({prefix}_input_0(), emu_in, {INPUT_BYTES});"),
        invoke: format!("{prefix}_run();"),
        finish: format!("memcpy(emu_out, {prefix}_output_0(), {OUTPUT_BYTES});"),
    }
}

/// The outputs of the network with this seed as the emulator builds it.
fn expected(seed: u64, core: Core) -> Vec<Vec<u8>> {
    let outputs = run(core, sources(&package("net", seed, core, "c")), vec![], entry("net"));
    assert!(outputs.iter().any(|o| o != &outputs[0]), "the network tells inputs apart");
    outputs
}

/// Runs a program in a directory and panics with what it printed unless it succeeds.
fn call(dir: &Path, program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).current_dir(dir).output();
    let output = output.unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(
        output.status.success(),
        "{program} {args:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap_or_else(|e| panic!("{name}: {e}"));
}

/// A directory with a package below `net`.
fn unpacked(layout: &str, core: Core) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    package("net", 1, core, layout).write(&dir.path().join("net")).expect("writes");
    dir
}

#[test]
fn two_networks_share_a_firmware_and_an_arena() {
    if !ready(&[]) {
        return;
    }
    for core in [Core::M0, Core::M4, Core::M55] {
        let mut files = sources(&package("one", 1, core, "c"));
        files.extend(sources(&package("two", 2, core, "c")));
        let both = Entry {
            includes: "#include <string.h>\n#include \"one.h\"\n#include \"two.h\"\n\
                       static union { uint64_t aligned; char one[ONE_ARENA_BYTES]; char two[TWO_ARENA_BYTES]; } shared;"
                .into(),
            prepare: String::new(),
            invoke: format!(
                "memcpy(one_input_0_in(&shared), emu_in, {INPUT_BYTES});\none_run_in(&shared);\n\
                 memcpy(emu_out, one_output_0_in(&shared), 2);\n\
                 memcpy(two_input_0_in(&shared), emu_in, {INPUT_BYTES});\ntwo_run_in(&shared);\n\
                 memcpy(emu_out + 2, two_output_0_in(&shared), 2);"
            ),
            finish: String::new(),
        };
        let (one, two) = (expected(1, core), expected(2, core));
        for ((got, one), two) in run(core, files, vec![], both).iter().zip(&one).zip(&two) {
            assert_eq!(got, &[&one[..2], &two[..2]].concat(), "{core}");
        }
    }
}

/// Before each layer of the outer run the whole network runs on another arena and another input.
#[test]
fn a_run_may_begin_within_a_run() {
    if !ready(&[]) {
        return;
    }
    let core = Core::M4;
    let hook = "#include <stdint.h>\n#include <string.h>\n#define NET_ON_LAYER on_layer\n#include \"net.h\"\n\
        int calls; static int depth; static uint64_t other[(NET_ARENA_BYTES + 7) / 8];\n\
        void on_layer(void *arena, int layer) {\n\
          if (depth || arena == other || layer > NET_LAYERS || !net_layer_names[layer]) { return; }\n\
          depth = 1; calls++; memset(net_input_0_in(other), layer, 240); net_run_in(other); depth = 0; }\n";
    let mut files = sources(&package("net", 1, core, "c"));
    files.push(("hook.c".into(), hook.into()));
    let flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-DNET_ON_LAYER=on_layer"];
    let mut within = entry("net");
    within.includes.push_str("\nextern int calls;");
    within.prepare.push_str("calls = 0;");
    within.finish.push_str("if (calls != NET_LAYERS + 1) { emu_out[0] ^= 1; }");
    let build = Build {
        files,
        entry: within,
        flags: flags.map(String::from).to_vec(),
        output_bytes: OUTPUT_BYTES,
        ..Build::new(core)
    };
    let report = paring_emulator::run(&build, &samples()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(report.outputs, expected(1, core));
}

#[test]
fn the_static_arena_can_be_left_out() {
    if !ready(&[]) {
        return;
    }
    let own = Entry {
        includes: "#include <string.h>\n#define NET_NO_ARENA\n#include \"net.h\"\n\
                   static uint64_t mine[(NET_ARENA_BYTES + 7) / 8];"
            .into(),
        prepare: format!("memcpy(net_input_0_in(mine), emu_in, {INPUT_BYTES});"),
        invoke: "net_run_in(mine);".into(),
        finish: format!("memcpy(emu_out, net_output_0_in(mine), {OUTPUT_BYTES});"),
    };
    let flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-DNET_NO_ARENA"].map(String::from).to_vec();
    let build = Build {
        files: sources(&package("net", 1, Core::M3, "c")),
        entry: own,
        flags,
        output_bytes: OUTPUT_BYTES,
        ..Build::new(Core::M3)
    };
    let report = paring_emulator::run(&build, &samples()).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(report.outputs, expected(1, Core::M3));
    assert_eq!(report.ram_bytes, 0);
}

/// The lines of a CMake project for a core.
fn cmake_head(core: Core) -> String {
    format!(
        "cmake_minimum_required(VERSION 3.20)\nset(CMAKE_SYSTEM_NAME Generic)\n\
         set(CMAKE_C_COMPILER arm-none-eabi-gcc)\nset(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\n\
         set(CMAKE_C_FLAGS \"{} -Wall -Wextra -Werror\")\nproject(firmware C)\n",
        core.compiler_flags().join(" ")
    )
}

/// Configures and builds the project in `dir` and finds the archive it made.
fn cmake(dir: &Path, archive: &str) -> PathBuf {
    call(dir, "cmake", &["-S", ".", "-B", "build", "-G", "Unix Makefiles"]);
    call(dir, "cmake", &["--build", "build"]);
    dir.join("build").join(archive)
}

#[test]
fn cmake_builds_the_c() {
    if !ready(&["cmake", "make"]) {
        return;
    }
    let dir = unpacked("c", Core::M4);
    write(
        dir.path(),
        "CMakeLists.txt",
        &format!("{}add_subdirectory(net)\n", cmake_head(Core::M4)),
    );
    let archive = cmake(dir.path(), "net/libnet.a");
    let header = std::fs::read_to_string(dir.path().join("net/net.h")).expect("a header");
    let outputs = run(Core::M4, vec![("net.h".into(), header)], vec![archive], entry("net"));
    assert_eq!(outputs, expected(1, Core::M4));
}

#[test]
fn make_builds_the_c() {
    if !ready(&["make"]) {
        return;
    }
    let dir = unpacked("c", Core::M3);
    let flags = Core::M3.compiler_flags().join(" ");
    let makefile = format!(
        "CC := arm-none-eabi-gcc\nCFLAGS := {flags} -O2 -Wall -Wextra -Werror\nSRCS :=\ninclude net/net.mk\n\
         libfirmware.a: $(SRCS:.c=.o)\n\tarm-none-eabi-ar rcs $@ $^\n"
    );
    write(dir.path(), "Makefile", &makefile);
    call(dir.path(), "make", &["libfirmware.a"]);
    let header = std::fs::read_to_string(dir.path().join("net/net.h")).expect("a header");
    let archive = dir.path().join("libfirmware.a");
    let outputs = run(Core::M3, vec![("net.h".into(), header)], vec![archive], entry("net"));
    assert_eq!(outputs, expected(1, Core::M3));
}

/// Zephyr's functions that modules call, as far as this one does, on plain CMake.
const ZEPHYR: &str = "
add_library(zephyr_interface INTERFACE)
function(zephyr_include_directories)
  target_include_directories(zephyr_interface INTERFACE ${ARGV})
endfunction()
function(zephyr_compile_definitions)
  target_compile_definitions(zephyr_interface INTERFACE ${ARGV})
endfunction()
macro(zephyr_library_named name)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
  add_library(${name} STATIC)
  target_link_libraries(${name} PUBLIC zephyr_interface)
endmacro()
function(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
function(zephyr_library_sources_ifdef option)
  if(${option})
    target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
  endif()
endfunction()
function(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
";

#[test]
fn zephyr_takes_the_module() {
    if !ready(&["cmake", "make"]) {
        return;
    }
    let dir = unpacked("zephyr", Core::M33);
    let net = dir.path().join("net");
    let text = |name: &str| std::fs::read_to_string(net.join(name)).expect(name);
    let module = text("zephyr/module.yml");
    assert!(module.contains("cmake: zephyr\n") && module.contains("kconfig: zephyr/Kconfig\n"));
    let kconfig = text("zephyr/Kconfig");
    for line in text("zephyr/CMakeLists.txt").split(['(', ')', ' ', '\n']) {
        if let Some(symbol) = line.strip_prefix("CONFIG_") {
            let known = |l: &str| l.strip_suffix(symbol).is_some_and(|k| k.ends_with("config "));
            assert!(kconfig.lines().any(known), "Kconfig knows no {symbol}");
        }
    }
    // As `prj.conf` would set them.
    let top = format!(
        "{}{ZEPHYR}set(CONFIG_NET y)\nset(CONFIG_NET_STATIC_ARENA y)\nadd_subdirectory(net/zephyr)\n",
        cmake_head(Core::M33)
    );
    write(dir.path(), "CMakeLists.txt", &top);
    let archive = cmake(dir.path(), "net/zephyr/libnet.a");
    let files = vec![("net.h".into(), text("include/net.h"))];
    let outputs = run(Core::M33, files, vec![archive], entry("net"));
    assert_eq!(outputs, expected(1, Core::M33));
}

/// The part of Arduino's core that the example uses.
const ARDUINO: &str = "#pragma once
#include <stdint.h>
extern \"C\" unsigned long micros(void);
extern \"C\" void delay(unsigned long);
struct Port { void begin(long) {} template <class T> void print(T) {} template <class T> void println(T) {} };
extern Port Serial;
void setup(void);
void loop(void);
";

#[test]
fn arduino_builds_the_library_and_its_example() {
    if !ready(&["arm-none-eabi-g++"]) {
        return;
    }
    let dir = unpacked("arduino", Core::M4);
    let root = dir.path();
    let text = |name: &str| std::fs::read_to_string(root.join("net").join(name)).expect(name);
    let properties = text("library.properties");
    for key in [
        "name",
        "version",
        "author",
        "maintainer",
        "sentence",
        "paragraph",
        "category",
        "url",
        "architectures",
    ] {
        let has = |l: &str| l.strip_prefix(key).is_some_and(|v| v.len() > 1 && v.starts_with('='));
        assert!(properties.lines().any(has), "{key} is missing");
    }
    // What arduino-builder does: all of src, then the sketch as C++ with the core's header before it.
    let core = Core::M4.compiler_flags();
    let common = [
        "-Os",
        "-ffunction-sections",
        "-fdata-sections",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-c",
        "-Inet/src",
    ];
    let mut objects = Vec::new();
    for entry in std::fs::read_dir(root.join("net/src")).expect("src") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        if let Some(stem) = name.strip_suffix(".c") {
            let (from, to) = (format!("net/src/{name}"), format!("{stem}.o"));
            let args = [core, &common, &["-std=gnu11", &from, "-o", &to]].concat();
            call(root, "arm-none-eabi-gcc", &args);
            objects.push(root.join(to));
        }
    }
    write(root, "Arduino.h", ARDUINO);
    let glue = "Port Serial;\nextern \"C\" unsigned long micros(void) { return 0; }\nextern \"C\" void delay(unsigned long) {}\n\
                extern \"C\" void sketch(void) { setup(); loop(); }\n";
    let sketch =
        format!("#include \"Arduino.h\"\n{}\n{glue}", text("examples/net_run/net_run.ino"));
    write(root, "sketch.cpp", &sketch);
    let args = [
        "-std=gnu++11",
        "-fno-exceptions",
        "-fno-rtti",
        "-fno-threadsafe-statics",
        "sketch.cpp",
        "-o",
        "sketch.o",
    ];
    call(root, "arm-none-eabi-g++", &[core, &common, &args].concat());
    objects.push(root.join("sketch.o"));
    // After the sketch has run on zeros, the network runs on the sample.
    let mut with_sketch = entry("net");
    with_sketch.includes.push_str("\nvoid sketch(void);");
    with_sketch.prepare.insert_str(0, "sketch();\n");
    let outputs = run(Core::M4, vec![("net.h".into(), text("src/net.h"))], objects, with_sketch);
    assert_eq!(outputs, expected(1, Core::M4));
}

/// A compiler that has the source of `core` beside it, for targets whose `core` is not installed.
fn rustc_with_source() -> Option<String> {
    let own = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    [own, "/usr/bin/rustc".to_string()].into_iter().find(|rustc| {
        let root = Command::new(rustc).args(["--print", "sysroot"]).output();
        root.is_ok_and(|o| {
            let root = PathBuf::from(String::from_utf8_lossy(&o.stdout).trim().to_string());
            root.join("lib/rustlib/src/rust/library/core").is_dir()
        })
    })
}

#[test]
fn the_crate_builds_for_a_thumb_target() {
    if !ready(&[]) {
        return;
    }
    let Some(rustc) = rustc_with_source() else {
        println!(
            "skipped: no rustc with the source of the standard library (rustup component add rust-src)"
        );
        return;
    };
    let dir = unpacked("rust", Core::M4);
    let app = dir.path().join("app");
    std::fs::create_dir_all(app.join("src")).expect("a directory");
    let manifest = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[lib]\ncrate-type = [\"staticlib\"]\n\n\
                    [dependencies]\nnet = { path = \"../net\" }\n\n[profile.release]\npanic = \"abort\"\n";
    write(&app, "Cargo.toml", manifest);
    let library = "#![no_std]\n#[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n\
        /// # Safety\n/// Both hold what the network's input and output hold.\n#[no_mangle]\n\
        pub unsafe extern \"C\" fn rust_run(input: *const i8, output: *mut i8) {\n\
          let mut memory = [0_u64; net::ARENA_WORDS + 3];\n\
          assert!(net::Model::in_memory(&mut memory[..net::ARENA_WORDS - 1]).is_none());\n\
          let Some(mut model) = net::Model::in_memory(&mut memory) else { return };\n\
          model.input_0().copy_from_slice(core::slice::from_raw_parts(input, net::INPUT_0_ELEMENTS));\n\
          model.run();\n\
          core::slice::from_raw_parts_mut(output, net::OUTPUT_0_ELEMENTS).copy_from_slice(model.output_0());\n}\n";
    write(&app, "src/lib.rs", library);
    let target = "thumbv7em-none-eabihf";
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-Zbuild-std=core", "--target", target])
        .current_dir(&app)
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-D warnings")
        .env("CARGO_TARGET_DIR", dir.path().join("target"))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTUP_TOOLCHAIN")
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let archive = dir.path().join("target").join(target).join("release/libapp.a");
    let through_rust = Entry {
        includes: "void rust_run(const void *, void *);".into(),
        invoke: "rust_run(emu_in, emu_out);".into(),
        ..Entry::default()
    };
    let outputs = run(Core::M4, vec![], vec![archive], through_rust);
    assert_eq!(outputs, expected(1, Core::M4));
}

#[test]
fn unknown_packages_are_named() {
    let graph = paring_ir::text::parse(&network(1)).unwrap_or_else(|e| panic!("{e}"));
    let options = CompileOptions {
        target: "cortex-m4".into(),
        settings: [("package".to_string(), "deb".to_string())].into(),
        ..CompileOptions::default()
    };
    let verified = graph.verified().unwrap_or_else(|e| panic!("{e}"));
    let error = CORTEX_M.compile(verified, &options).expect_err("there is no such package");
    assert!(error.to_string().contains("c, zephyr, arduino, rust"), "{error}");
}
