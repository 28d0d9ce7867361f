//! Runs the op suite on a backend. What it cannot do yet is listed in its `known-gaps.toml`, a table from
//! the name of a case (or `op/*`) to the reason; a listed case that works is a fault too. Backends that
//! make packages which refuse more than they run in process have a `package-gaps.toml` besides.
#![forbid(unsafe_code)]

use paring_backend::Rounding;
use paring_bundle as _;
use paring_ir::Executor;
use paring_opsuite::Case;
use paring_tensor::Tensor;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Both roundings of integer kernels.
pub const ROUNDINGS: [Rounding; 2] = [Rounding::Double, Rounding::Single];

/// Something that runs the suite: its name, and an executor for each rounding.
pub struct Subject {
    /// The name of the backend, and of the folder with its gaps.
    pub name: &'static str,
    /// An executor of each of [`ROUNDINGS`].
    pub executors: [Box<dyn Executor>; 2],
}

/// The results of a case.
///
/// # Errors
/// If it is refused or fails.
pub fn run(executor: &dyn Executor, case: &Case) -> Result<Vec<Tensor>, String> {
    let verified = case.graph.verified().map_err(|e| e.to_string())?;
    let mut session = executor.prepare(verified).map_err(|e| e.to_string())?;
    session.run(&case.inputs).map_err(|e| e.to_string())
}

/// Whether results are right: near the definition, and integers equal to those of the reference.
///
/// # Errors
/// What differs.
pub fn judge(results: &[Tensor], reference: &dyn Executor, case: &Case) -> Result<(), String> {
    case.check(results)?;
    let integers = results.iter().all(|t| !t.dtype().is_float());
    if integers && results != run(reference, case)? {
        return Err("other integers than the reference".to_owned());
    }
    Ok(())
}

/// Whether a case is right with both roundings.
///
/// # Errors
/// What differs.
pub fn judge_both(subject: &Subject, reference: &Subject, case: &Case) -> Result<(), String> {
    for (i, rounding) in ROUNDINGS.iter().enumerate() {
        run(&*subject.executors[i], case)
            .and_then(|results| judge(&results, &*reference.executors[i], case))
            .map_err(|e| format!("{rounding:?}: {e}"))?;
    }
    Ok(())
}

/// Known gaps, and which of them were seen.
pub struct Gaps {
    path: PathBuf,
    reasons: BTreeMap<String, String>,
    /// Listed cases that fail, and by which line they are listed.
    seen: BTreeMap<String, String>,
    /// Listed cases that work.
    works: BTreeSet<String>,
    faults: Vec<String>,
}

impl Gaps {
    /// The gaps that a file of a backend lists; none where there is no such file.
    ///
    /// # Panics
    /// If the list is not a table from names to reasons.
    #[must_use]
    pub fn of(backend: &str, file: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let path = root.join(format!("backends/{backend}/{file}"));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let reasons = toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (seen, works, faults) = Default::default();
        Self { path, reasons, seen, works, faults }
    }

    /// Takes note of what became of a case.
    pub fn note(&mut self, case: &str, verdict: Result<(), String>) {
        let op = case.split('/').next().unwrap_or(case);
        let listed = [case.to_owned(), format!("{op}/*")]
            .into_iter()
            .find(|name| self.reasons.contains_key(name));
        match (verdict, listed) {
            (Ok(()), None) => {}
            (Err(_), Some(name)) => {
                self.seen.insert(case.to_owned(), name);
            }
            (Ok(()), Some(_)) => {
                self.works.insert(case.to_owned());
            }
            (Err(why), None) => self.faults.push(format!("{case}: {why}")),
        }
    }

    /// Ends the test: every fault at once. With `BLESS=1` lines for what works are taken out of the file; lines
    /// for what does not work are only ever written by hand.
    ///
    /// # Panics
    /// If there was a fault, or a listed gap is no case or works.
    pub fn settle(mut self) {
        let used: BTreeSet<&String> = self.seen.values().collect();
        let idle = self.reasons.keys().filter(|name| !used.contains(name));
        let mut stale: Vec<String> = idle.map(|n| format!("the gap `{n}` is no case")).collect();
        stale.extend(self.works.iter().map(|c| format!("{c} is listed as a gap but works")));
        if !stale.is_empty() && std::env::var_os("BLESS").is_some() {
            self.bless();
        } else {
            self.faults.extend(stale);
        }
        let (n, list) = (self.faults.len(), self.faults.join("\n"));
        assert!(n == 0, "{} and its backend: {n} faults:\n{list}", self.path.display());
    }

    fn bless(&self) {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let head = text.lines().take_while(|l| l.starts_with('#'));
        let mut lines: Vec<String> = head.map(str::to_owned).collect();
        for (name, reason) in &self.reasons {
            let cases: Vec<&String> =
                self.seen.iter().filter(|(_, by)| *by == name).map(|(case, _)| case).collect();
            let op = name.trim_end_matches('*');
            let whole = !self.works.iter().any(|case| case.starts_with(op));
            let names = if whole && !cases.is_empty() { vec![name] } else { cases };
            lines.extend(names.iter().map(|n| format!("{n:?} = {reason:?}")));
        }
        std::fs::write(&self.path, lines.join("\n") + "\n").unwrap_or_else(|e| panic!("{e}"));
    }
}
