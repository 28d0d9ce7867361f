//! Several adaptive predictions of one decision, mixed in the logistic domain by weights that learn.

use crate::density::exp_minus;
use crate::range::{Coder, Prob};
use std::sync::OnceLock;

/// Logits are in 256ths and stay within this bound.
const BOUND: i32 = 3071;

/// Logits that there are.
const LOGITS: usize = 2 * BOUND as usize + 1;

struct Curves {
    /// Probability out of 65,536 of each logit from `-BOUND`.
    squash: [u16; LOGITS],
    /// Logit of each probability out of 4,096.
    stretch: [i16; 4096],
}

fn curves() -> &'static Curves {
    static CURVES: OnceLock<Curves> = OnceLock::new();
    CURVES.get_or_init(|| {
        let squash = std::array::from_fn(|i| {
            let logit = i as i32 - BOUND;
            let odds = exp_minus(f64::from(logit.abs()) / 256.0);
            let small = odds / (1.0 + odds) * 65_536.0;
            let p = if logit < 0 { small } else { 65_536.0 - small };
            (p as u32).clamp(24, 65_536 - 24) as u16
        });
        let mut logit = 0;
        let mut stretch = std::array::from_fn(|p| {
            while logit < LOGITS - 1 && u32::from(squash[logit]) < p as u32 * 16 + 8 {
                logit += 1;
            }
            (logit as i32 - BOUND).clamp(-2200, 2200) as i16
        });
        // Probabilities stay 24 away from either end.
        stretch[0] = stretch[1];
        stretch[4095] = stretch[4094];
        Curves { squash, stretch }
    })
}

/// Weights for `N` predictions.
pub(crate) struct Mixer<const N: usize> {
    weights: [i32; N],
    curves: &'static Curves,
}

impl<const N: usize> Mixer<N> {
    pub(crate) fn new() -> Self {
        Self { weights: [(1 << 16) / N as i32 * 5 / 4; N], curves: curves() }
    }

    /// Codes a decision under the mixture; the predictions and the weights learn from it.
    #[inline]
    pub(crate) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        inputs: [&mut Prob; N],
        bit: bool,
    ) -> bool {
        // Logits are 256ths, from -2200 to 2200.
        let logits: [i32; N] =
            std::array::from_fn(|i| i32::from(self.curves.stretch[inputs[i].twelve_bits()]));
        let sum: i64 =
            logits.iter().zip(&self.weights).map(|(&l, &w)| i64::from(l) * i64::from(w)).sum();
        let logit = ((sum >> 16) as i32).clamp(-BOUND, BOUND);
        let p = u32::from(self.curves.squash[(logit + BOUND) as usize]);
        let bit = coder.bit(p, bit);
        let error = (if bit { 65_536 } else { 0 }) - p as i32;
        for (weight, &logit) in self.weights.iter_mut().zip(&logits) {
            let step = (logit * error) >> 14;
            *weight = (*weight + step).clamp(-(8 << 16), 8 << 16);
        }
        for prob in inputs {
            prob.update(bit);
        }
        bit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curves_are_each_others_inverse() {
        let curves = curves();
        for p in 4..4092_usize {
            let logit = curves.stretch[p];
            let back = f64::from(curves.squash[(i32::from(logit) + BOUND) as usize]) / 16.0;
            assert!((back - p as f64 - 0.5).abs() < 5.0, "{p} {logit} {back}");
            let exact = ((p as f64 + 0.5) / (4095.5 - p as f64)).ln() * 256.0;
            assert!((exact - f64::from(logit)).abs() < 2.0, "{p} {exact} {logit}");
        }
    }
}
