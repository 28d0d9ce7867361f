use paring_ir::units::parse_bytes;
use paring_pass::{LatencyAim, PassError};

/// How many bits the weights get.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Bits {
    /// The same for all layers, 2 to 8.
    Same(u32),
    /// As many for each layer as serve the network best.
    Average {
        /// The most bits a weight, over all layers that are rounded.
        average: f64,
        /// The numbers of bits that a layer may have.
        of: Vec<u32>,
    },
    /// As many for each layer as serve the network best within what a target has for it.
    Within(Budgets),
}

/// What a target has for a network.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budgets {
    /// The target, such as `cortex-m4`.
    pub target: String,
    /// The numbers of bits that a layer may have.
    pub of: Vec<u32>,
    /// Constants and code, such as `"64K"`.
    pub flash: Option<String>,
    /// Memory for values, such as `"32K"`.
    pub ram: Option<String>,
    /// Time of a run: cycles (`"8M"`), a time and a clock (`"20ms@120MHz"`), or the part of what the most bits take.
    pub latency: Option<LatencyAim>,
    /// The most bits a weight, over all layers that are rounded.
    pub average: Option<f64>,
}

impl Budgets {
    /// Bytes of flash and of RAM.
    pub(crate) fn bytes(&self) -> Result<[Option<u64>; 2], PassError> {
        let bytes = |text: &String| parse_bytes(text).map(|n| n as u64).map_err(PassError::Input);
        Ok([self.flash.as_ref().map(bytes).transpose()?, self.ram.as_ref().map(bytes).transpose()?])
    }

    fn check(&self) -> Result<(), PassError> {
        let [flash, ram] = self.bytes()?;
        if let Some(aim) = &self.latency {
            aim.check()?;
        }
        if flash.is_none() && ram.is_none() && self.latency.is_none() {
            return Err(PassError::Input(
                "`bits` with a `target` needs one of `flash`, `ram` and `latency`".into(),
            ));
        }
        Ok(())
    }
}

impl Bits {
    pub(crate) fn check(&self) -> Result<(), PassError> {
        let wrong = |why: String| Err(PassError::Input(why));
        let all = match self {
            Self::Same(bits) => std::slice::from_ref(bits),
            Self::Average { of, .. } => of,
            Self::Within(budgets) => &budgets.of,
        };
        if let Some(bits) = all.iter().find(|b| !(2..=8).contains(*b)) {
            return wrong(format!("weights of {bits} bits; 2 to 8 are possible"));
        }
        let (average, of) = match self {
            Self::Same(_) => return Ok(()),
            Self::Average { average, of } => (Some(*average), of),
            Self::Within(budgets) => {
                budgets.check()?;
                (budgets.average, &budgets.of)
            }
        };
        let Some(least) = of.iter().min() else {
            return wrong("`of` names no numbers of bits".into());
        };
        match average {
            Some(average) if average < f64::from(*least) || !average.is_finite() => {
                wrong(format!("an average of {average} bits of layers with at least {least}"))
            }
            _ => Ok(()),
        }
    }
}

/// The least and the largest integer of so many bits. Weights of 8 bits are symmetric, as the TFLite
/// specification has them.
pub(crate) fn limits(bits: u32) -> (f64, f64) {
    let half = f64::from(1_u32 << (bits - 1));
    let least = if bits < 8 { -half } else { 1.0 - half };
    (least, half - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Bits, String> {
        #[derive(serde::Deserialize)]
        struct File {
            bits: Bits,
        }
        let file: File = paring_pass::toml::from_str(text).map_err(|e| e.to_string())?;
        file.bits.check().map_err(|e| e.to_string())?;
        Ok(file.bits)
    }

    #[test]
    fn budgets_are_an_average_or_those_of_a_target() {
        assert_eq!(read("bits = 4"), Ok(Bits::Same(4)));
        let average = read("bits = { average = 3.0, of = [2, 4] }");
        assert_eq!(average, Ok(Bits::Average { average: 3.0, of: vec![2, 4] }));
        let within =
            "bits = { target = \"cortex-m4\", of = [4, 8], flash = \"64K\", latency = 0.9 }";
        let Ok(Bits::Within(budgets)) = read(within) else { panic!("{:?}", read(within)) };
        assert_eq!(budgets.bytes().ok(), Some([Some(65536), None]));
        for (text, why) in [
            ("bits = { target = \"t\", of = [4, 8] }", "needs one of"),
            ("bits = { target = \"t\", of = [4, 9], ram = \"1K\" }", "9 bits"),
            ("bits = { target = \"t\", of = [], ram = \"1K\" }", "no numbers of bits"),
            ("bits = { target = \"t\", of = [4], ram = \"many\" }", "no number of bytes"),
            (
                "bits = { target = \"t\", of = [4], ram = \"1K\", average = 3.0 }",
                "average of 3 bits",
            ),
            ("bits = { target = \"t\", of = [4], latency = 2.0 }", "share that stays"),
            // What is misspelt is not passed over.
            ("bits = { average = 3.0, of = [2, 4], flesh = \"64K\" }", "did not match"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(why), "{text}: {said}");
        }
    }
}
