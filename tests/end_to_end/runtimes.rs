//! Runtimes of other projects, in Python.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// What is installed, at which versions.
const PACKAGES: [&str; 4] = [
    "numpy==2.4.6",
    "onnxruntime==1.31.1",
    "ai-edge-litert==2.3.0",
    "tflite-micro==0.dev20261023182759",
];

/// An environment with the runtimes.
pub struct Python {
    program: PathBuf,
}

/// A model to run on samples.
pub struct Job {
    /// For messages.
    pub id: String,
    /// `litert`, `litert_ref`, `tflm` or `onnxruntime`.
    pub runtime: &'static str,
    /// The file.
    pub model: PathBuf,
    /// `.npz` with `input_0`, ... and the known outputs, with a leading axis of samples.
    pub inputs: PathBuf,
    /// The known outputs are `KEY_0`, ....
    pub key: &'static str,
}

impl Python {
    /// Makes the environment, or says why there is none.
    pub fn new() -> Option<Self> {
        match Self::make() {
            Ok(python) => Some(python),
            Err(why) => {
                eprintln!("skipped: no environment with {}: {why}", PACKAGES.join(" "));
                None
            }
        }
    }

    /// Tests of one program take turns: it is made once.
    fn make() -> Result<Self, String> {
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().map_err(|e| e.to_string())?;
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("runtimes");
        let program = dir.join("bin/python");
        // Of an environment made for other versions nothing is kept.
        let mark = dir.join("ready");
        let wanted = PACKAGES.join("\n");
        if std::fs::read_to_string(&mark).is_ok_and(|has| has == wanted) {
            return Ok(Self { program });
        }
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir))?;
        run(Command::new(&program)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(PACKAGES))?;
        std::fs::write(mark, wanted).map_err(|e| e.to_string())?;
        Ok(Self { program })
    }

    /// What the runtimes found, job by job, on this many samples each at most.
    pub fn run(&self, jobs: &[Job], samples: usize) -> Vec<Value> {
        let list: Vec<_> = jobs
            .iter()
            .map(|j| {
                json!({ "runtime": j.runtime, "model": j.model, "inputs": j.inputs, "key": j.key,
                        "samples": samples })
            })
            .collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), serde_json::to_vec(&list).unwrap()).unwrap();
        let script = crate::paring::root().join("tests/end_to_end/python/interop.py");
        let output = Command::new(&self.program).arg(script).arg(file.path()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let found: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(found.len(), jobs.len(), "{errors}");
        found
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(text) }
}
