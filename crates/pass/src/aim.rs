use crate::PassError;
use paring_ir::units::parse_latency;

/// How long a network may take on a target.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(untagged)]
pub enum LatencyAim {
    /// This part of the time that it takes now.
    Share(f64),
    /// Cycles (`"8M"`), or a time and a clock (`"20ms@120MHz"`).
    Stated(String),
}

impl LatencyAim {
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), PassError> {
        match self {
            Self::Share(share) if *share > 0.0 && *share < 1.0 => Ok(()),
            Self::Share(_) => Err(PassError::Input(
                "`latency` as a number is the share that stays: over 0 and less than 1; write cycles as \
                 \"8M\", or a time and a clock as \"20ms@120MHz\""
                    .into(),
            )),
            Self::Stated(text) => self::stated(text).map(|_| ()),
        }
    }

    /// The cycles that are allowed to a network that takes `now`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn cycles(&self, now: u64) -> Result<u64, PassError> {
        match self {
            Self::Share(share) => Ok((share * now as f64) as u64),
            Self::Stated(text) => stated(text),
        }
    }
}

fn stated(text: &str) -> Result<u64, PassError> {
    parse_latency(text)
        .map(|l| l.cycles)
        .map_err(|why| PassError::Input(format!("`latency`: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aims_are_shares_cycles_or_times() {
        let cycles = |aim: LatencyAim| aim.check().and_then(|()| aim.cycles(1000));
        assert_eq!(cycles(LatencyAim::Share(0.25)).ok(), Some(250));
        assert_eq!(cycles(LatencyAim::Stated("8k".into())).ok(), Some(8000));
        assert_eq!(cycles(LatencyAim::Stated("2ms@1MHz".into())).ok(), Some(2000));
        let why = |aim| cycles(aim).map_err(|e| e.to_string()).expect_err("a wrong aim");
        assert!(why(LatencyAim::Share(1.5)).contains("share that stays"));
        assert!(why(LatencyAim::Share(f64::NAN)).contains("share that stays"));
        assert!(why(LatencyAim::Stated("2ms".into())).contains("needs the clock"));
    }
}
