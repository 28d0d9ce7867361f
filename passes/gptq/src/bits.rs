use paring_pass::PassError;

/// How many bits the weights get.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(untagged)]
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
}

impl Bits {
    pub(crate) fn check(&self) -> Result<(), PassError> {
        let wrong = |why: String| Err(PassError::Input(why));
        let all = match self {
            Self::Same(bits) => std::slice::from_ref(bits),
            Self::Average { of, .. } => of,
        };
        if let Some(bits) = all.iter().find(|b| !(2..=8).contains(*b)) {
            return wrong(format!("weights of {bits} bits; 2 to 8 are possible"));
        }
        match self {
            Self::Average { average, of } => match of.iter().min() {
                None => wrong("`of` names no numbers of bits".into()),
                Some(least) if *average < f64::from(*least) || !average.is_finite() => {
                    wrong(format!("an average of {average} bits of layers with at least {least}"))
                }
                _ => Ok(()),
            },
            Self::Same(_) => Ok(()),
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
