use crate::Structure;
use crate::registry::{Pass, PassInfo, find, registered_passes};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use wildmatch::WildMatch;

/// An ordered list of passes with their settings, read from a file.
pub struct Pipeline {
    /// Seed of everything random in the run.
    pub seed: u64,
    /// The passes in order.
    pub steps: Vec<Step>,
}

/// One step of a pipeline.
pub struct Step {
    /// What is known of the pass.
    pub info: &'static PassInfo,
    /// Names of nodes that the pass may touch, with `*` and `?`; empty for all.
    pub only: Vec<WildMatch>,
    /// Names of nodes that the pass must not touch.
    pub skip: Vec<WildMatch>,
    /// How often the pass runs.
    pub repeat: usize,
    /// What of constants the pass may undo.
    pub allow: Vec<Structure>,
    pub(crate) pass: Box<dyn Pass>,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.info.name)
    }
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seed {} {:?}", self.seed, self.steps)
    }
}

/// Why a pipeline file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The file is not TOML, or not of the expected form.
    #[error("pipeline: {0}")]
    Syntax(String),
    /// Another version of the file format.
    #[error("pipeline: version {0} is not supported; this program reads version 1")]
    Version(i64),
    /// A step is wrong.
    #[error("step {step} (`{pass}`): {why}")]
    Step {
        /// Which step, from 1.
        step: usize,
        /// The pass it names.
        pass: String,
        /// What is wrong.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: i64,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    pass: Vec<RawStep>,
}

#[derive(Deserialize)]
struct RawStep {
    r#use: String,
    #[serde(default)]
    only: Vec<String>,
    #[serde(default)]
    skip: Vec<String>,
    #[serde(default = "once")]
    repeat: usize,
    #[serde(default)]
    allow: Vec<Structure>,
    #[serde(flatten)]
    settings: BTreeMap<String, toml::Value>,
}

fn once() -> usize {
    1
}

impl Pipeline {
    /// Reads a pipeline and checks it: every pass exists, every setting is known, and every fact that
    /// a step needs is given by a step before it and not broken in between.
    ///
    /// # Errors
    /// The first thing that is wrong, with the step and the known names.
    pub fn parse(text: &str) -> Result<Self, PipelineError> {
        let syntax = |e: toml::de::Error| PipelineError::Syntax(e.to_string().trim().to_owned());
        let raw: toml::Table = toml::from_str(text).map_err(syntax)?;
        match raw.get("version").and_then(toml::Value::as_integer) {
            Some(1) => {}
            Some(other) => return Err(PipelineError::Version(other)),
            None => {
                return Err(PipelineError::Syntax("the first line must be `version = 1`".into()));
            }
        }
        let file: File = toml::from_str(text).map_err(syntax)?;
        debug_assert_eq!(file.version, 1);
        let mut steps = Vec::with_capacity(file.pass.len());
        for (i, raw) in file.pass.into_iter().enumerate() {
            let fail =
                |why: String| PipelineError::Step { step: i + 1, pass: raw.r#use.clone(), why };
            let entry = find(&raw.r#use).map_err(fail)?;
            let settings = raw.settings.clone().into_iter().collect();
            let pass = (entry.parse)(settings).map_err(fail)?;
            if raw.repeat == 0 {
                return Err(fail("`repeat` must be at least 1".into()));
            }
            let globs = |names: &[String]| names.iter().map(|n| WildMatch::new(n)).collect();
            steps.push(Step {
                info: &entry.info,
                only: globs(&raw.only),
                skip: globs(&raw.skip),
                repeat: raw.repeat,
                allow: raw.allow,
                pass,
            });
        }
        let pipeline = Self { seed: file.seed, steps };
        pipeline.check_order()?;
        Ok(pipeline)
    }

    /// One pass with its settings (and `allow`) as an inline table, its facts taken as given.
    ///
    /// # Errors
    /// If there is no such pass or a setting is unknown.
    pub fn single(name: &str, settings: &str) -> Result<Self, PipelineError> {
        let fail = |why: String| PipelineError::Step { step: 1, pass: name.to_owned(), why };
        let entry = find(name).map_err(fail)?;
        let mut table: toml::Table = toml::from_str(&format!("a = {settings}"))
            .map_err(|e| fail(format!("settings: {}", e.message())))?;
        let Some(toml::Value::Table(mut settings)) = table.remove("a") else {
            return Err(fail("the settings are not a table".into()));
        };
        let allow = match settings.remove("allow") {
            Some(names) => names.try_into().map_err(|e| fail(format!("`allow`: {e}")))?,
            None => Vec::new(),
        };
        let pass = (entry.parse)(settings).map_err(fail)?;
        let (only, skip) = (Vec::new(), Vec::new());
        Ok(Self {
            seed: 0,
            steps: vec![Step { info: &entry.info, only, skip, repeat: 1, allow, pass }],
        })
    }

    fn check_order(&self) -> Result<(), PipelineError> {
        let mut holds: BTreeSet<&str> = BTreeSet::new();
        let mut broken: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for (i, step) in self.steps.iter().enumerate() {
            let info = step.info;
            if let Some(need) = info.needs.iter().find(|n| !holds.contains(*n)) {
                let why = match broken.get(need) {
                    Some((step, pass)) => format!(
                        "needs `{need}`, which step {step} (`{pass}`) undoes; move it or give `{need}` \
                         again after it"
                    ),
                    None => {
                        let givers: Vec<_> = registered_passes()
                            .into_iter()
                            .filter(|e| e.info.gives.contains(need))
                            .map(|e| e.info.name)
                            .collect();
                        let givers = if givers.is_empty() {
                            "no known pass".to_owned()
                        } else {
                            givers.join(", ")
                        };
                        format!("needs `{need}`, which no earlier step gives; given by: {givers}")
                    }
                };
                let pass = info.name.to_owned();
                return Err(PipelineError::Step { step: i + 1, pass, why });
            }
            for fact in info.breaks {
                if holds.remove(fact) {
                    broken.insert(fact, (i + 1, info.name));
                }
            }
            holds.extend(info.gives);
        }
        Ok(())
    }
}
