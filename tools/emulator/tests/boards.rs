//! Every board runs, counts exactly, and reports sizes and faults.

use paring_emulator::{Build, Core, EmulatorError, Entry, missing_packages, run};

fn ready() -> bool {
    let missing = missing_packages();
    if !missing.is_empty() {
        println!("skipped: install {}", missing.join(" "));
    }
    missing.is_empty()
}

fn program(core: Core) -> Build {
    let text = "#include <string.h>\n\
        static const unsigned char table[64] = {1, 2, 3};\n\
        unsigned char state[40];\n\
        int sum(const unsigned char *p, int n) {\n\
          volatile unsigned char local[100];\n\
          memcpy(state, table, sizeof state);\n\
          int s = 0; for (int i = 0; i < n; i++) { local[i] = p[i]; s += local[i]; } return s; }\n";
    Build {
        files: vec![("sum.c".into(), text.into())],
        entry: Entry {
            includes: "int sum(const unsigned char *, int);".into(),
            prepare: "emu_out[1] = 7;".into(),
            invoke: "int s = sum(emu_in, 5);".into(),
            finish: "emu_out[0] = (uint8_t)s;".into(),
        },
        output_bytes: 2,
        ..Build::new(core)
    }
}

#[test]
fn every_core_runs() {
    if !ready() {
        return;
    }
    for core in Core::ALL {
        let samples = [vec![1, 2, 3, 4, 5], vec![10, 0, 0, 0, 50]];
        let report = run(&program(core), &samples).unwrap_or_else(|e| panic!("{core}: {e}"));
        assert_eq!(report.outputs, [[15, 7], [60, 7]], "{core}");
        assert!((20..400).contains(&report.instructions), "{core}: {report:?}");
        assert!((100..400).contains(&report.stack_bytes), "{core}: {report:?}");
        assert_eq!(report.ram_bytes, 40, "{core}");
        assert!(report.code_bytes > 20 && report.code_bytes < 1000, "{core}: {report:?}");
        assert_eq!(report.flash_bytes, report.code_bytes + report.weight_bytes, "{core}");
    }
}

#[test]
fn an_empty_region_counts_nothing() {
    if !ready() {
        return;
    }
    let mut build = program(Core::M4);
    build.entry.invoke = "__asm__ volatile(\"nop\\n nop\\n nop\");".into();
    build.entry.finish = String::new();
    let report = run(&build, &[vec![0; 5]]).expect("runs");
    assert_eq!(report.instructions, 3);
}

#[test]
fn faults_compile_errors_and_endless_loops_are_told_apart() {
    if !ready() {
        return;
    }
    let mut build = program(Core::M3);
    build.entry.invoke = "int s = 0; __asm__ volatile(\"udf #0\");".into();
    let error = run(&build, &[vec![0; 5]]).expect_err("faults");
    assert!(error.to_string().contains("fault"), "{error}");

    build.entry.invoke = "int s = 0; for (;;) { __asm__ volatile(\"\"); }".into();
    build.timeout = std::time::Duration::from_millis(500);
    let error = run(&build, &[vec![0; 5]]).expect_err("hangs");
    assert!(error.to_string().contains("ran over"), "{error}");

    build.entry.invoke = "no such thing".into();
    let error = run(&build, &[vec![0; 5]]).expect_err("does not compile");
    assert!(matches!(&error, EmulatorError::Tool { tool, .. } if tool.contains("gcc")), "{error}");

    let error = run(&build, &[vec![0; 5], vec![0; 4]]).expect_err("sizes differ");
    assert!(error.to_string().contains("sample 1"), "{error}");
}

#[test]
fn parts_and_cycles_are_told_apart() {
    if !ready() {
        return;
    }
    let text = "void emu_mark(void *, int);\n\
        void work(int n) { emu_mark(0, 0); for (int i = 0; i < n; i++) { __asm__ volatile(\"nop\"); }\n\
          emu_mark(0, 1); __asm__ volatile(\"nop\\n nop\"); emu_mark(0, 2); }\n";
    for core in Core::ALL {
        let build = Build {
            files: vec![("work.c".into(), text.into())],
            entry: Entry {
                includes: "void work(int);".into(),
                invoke: "work(1000);".into(),
                ..Entry::default()
            },
            output_bytes: 1,
            ..Build::new(core)
        };
        let report = run(&build, &[vec![0]]).expect("runs");
        let [long, short] = report.parts.as_slice() else { panic!("{core}: {:?}", report.parts) };
        // A nop, a decrement and a branch; or a nop and the end of a low-overhead loop.
        assert!((2000..4020).contains(&long.instructions), "{core}: {long:?}");
        assert!((1..8).contains(&short.instructions), "{core}: {short:?}");
        assert!(long.cycles > 2000 && report.cycles > long.cycles, "{core}: {report:?}");
        // A loop of a nop, a decrement and a branch.
        let per_round = if matches!(core, Core::M7) { 2 } else { 4 };
        assert!(long.cycles >= per_round * 1000, "{core}: {long:?}");
    }
}
