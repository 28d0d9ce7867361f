//! The other runtimes, in a Python process that runs only when it is asked to.

use crate::Times;
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// What is installed, from PyPI.
const PACKAGES: [&str; 3] = ["numpy", "ai-edge-litert==2.3.0", "onnxruntime==1.31.1"];

/// The process.
pub struct Peers {
    child: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The interpreter and its script.
    command: [PathBuf; 2],
    /// Names and versions of what answers.
    pub versions: Vec<(String, String)>,
}

impl Peers {
    /// Starts it, in a virtual environment below `folder` that is made when it is not there; the
    /// environment variable `PARING_BENCH_PYTHON` names another Python that has the packages.
    ///
    /// # Errors
    /// If there is no Python or the packages cannot be had.
    pub fn start(folder: &Path) -> Result<Self> {
        let python = match std::env::var_os("PARING_BENCH_PYTHON") {
            Some(python) => PathBuf::from(python),
            None => environment(&folder.join("python"))?,
        };
        let script = folder.join("peers.py");
        std::fs::create_dir_all(folder)?;
        std::fs::write(&script, include_str!("peers.py"))?;
        let mut child = Command::new(&python)
            .arg(&script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {}", python.display()))?;
        let ask = child.stdin.take().context("no standard input")?;
        let answers = BufReader::new(child.stdout.take().context("no standard output")?);
        let command = [python, script];
        let mut peers = Self { child, ask, answers, command, versions: Vec::new() };
        let versions = peers.request(&json!({ "versions": true }))?;
        for (name, version) in versions.as_object().into_iter().flatten() {
            peers.versions.push((name.clone(), version.as_str().unwrap_or_default().to_owned()));
        }
        Ok(peers)
    }

    fn request(&mut self, request: &Value) -> Result<Value> {
        writeln!(self.ask, "{request}")?;
        self.ask.flush()?;
        let mut line = String::new();
        ensure!(self.answers.read_line(&mut line)? > 0, "the Python process ended");
        let answer: Value = serde_json::from_str(&line)?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{error}");
        }
        Ok(answer)
    }

    /// Loads a model.
    ///
    /// # Errors
    /// If the runtime refuses it.
    pub fn load(&mut self, engine: &str, path: &Path, threads: usize) -> Result<()> {
        let path = path.to_string_lossy();
        self.request(&json!({ "load": path, "engine": engine, "threads": threads })).map(drop)
    }

    /// Bytes by which the most memory of a process of its own grows when it loads a model and runs it.
    ///
    /// # Errors
    /// If the runtime refuses the model.
    pub fn memory(&self, engine: &str, path: &Path) -> Result<usize> {
        let [python, script] = &self.command;
        let output = Command::new(python)
            .arg(script)
            .args(["--memory", engine])
            .arg(path)
            .stderr(Stdio::null())
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        text.trim().parse().with_context(|| format!("{engine} did not say how much memory it took"))
    }

    /// Runs the loaded model some times.
    ///
    /// # Errors
    /// If a run fails.
    pub fn run(&mut self, engine: &str, times: usize) -> Result<Times> {
        let answer = self.request(&json!({ "run": times, "engine": engine }))?;
        let list = |name: &str| -> Vec<f64> {
            answer[name].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
        };
        Ok(Times { wall: list("wall"), cpu: list("cpu") })
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python of a virtual environment with the packages.
fn environment(folder: &Path) -> Result<PathBuf> {
    let python = folder.join("bin/python");
    let done = folder.join("complete");
    if done.is_file() {
        return Ok(python);
    }
    let run = |command: &mut Command| -> Result<()> {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "{command:?} failed");
        Ok(())
    };
    run(Command::new("python3").args(["-m", "venv"]).arg(folder))
        .context("making an environment")?;
    run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))
        .context("installing LiteRT and ONNX Runtime from PyPI")?;
    std::fs::write(done, "")?;
    Ok(python)
}
