//! Helpers for attributes that ops serialize.

/// Single-precision attributes written as their shortest decimal, so that `0.001` prints as `0.001`.
///
/// Use as `#[serde(with = "paring_ir::attr::f32")]`.
pub mod f32 {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes the double that has the same shortest decimal.
    ///
    /// # Errors
    /// What the serializer returns.
    pub fn serialize<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(super::widen(*value))
    }

    /// Reads a double and rounds it to single precision.
    ///
    /// # Errors
    /// What the deserializer returns.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
        f64::deserialize(deserializer).map(|x| x as f32)
    }
}

/// As [`f32`](mod@self::f32) for lists.
pub mod f32_list {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// Writes the doubles that have the same shortest decimals.
    ///
    /// # Errors
    /// What the serializer returns.
    pub fn serialize<S: Serializer>(values: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        values.iter().map(|x| super::widen(*x)).collect::<Vec<_>>().serialize(serializer)
    }

    /// Reads doubles and rounds them to single precision.
    ///
    /// # Errors
    /// What the deserializer returns.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        Ok(Vec::<f64>::deserialize(deserializer)?.into_iter().map(|x| x as f32).collect())
    }
}

fn widen(x: f32) -> f64 {
    if x.is_finite() { x.to_string().parse().unwrap_or(f64::from(x)) } else { f64::from(x) }
}
