use crate::{Options, encode};
use paring_tensor::ConstData;
use std::collections::HashMap;

/// How well a constant is coded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Number of elements.
    pub elements: usize,
    /// Bytes of the blob.
    pub coded_bytes: usize,
    /// Bits of the blob for each element.
    pub bits_per_element: f64,
    /// Order-0 entropy of the stored numbers in bits an element, tables not counted.
    pub entropy: f64,
    /// Coded bits over entropy; `None` where the entropy is 0.
    pub ratio: Option<f64>,
}

impl Statistics {
    /// Codes a constant and measures the blob.
    #[must_use]
    pub fn of(data: &ConstData, options: Options) -> Self {
        Self::of_coded(data, encode(data, options).bytes.len())
    }

    /// Statistics of a constant whose blob has `coded_bytes` bytes.
    #[must_use]
    pub fn of_coded(data: &ConstData, coded_bytes: usize) -> Self {
        let dense = data.dense();
        let elements = dense.len();
        if elements == 0 {
            return Self { coded_bytes, ..Self::default() };
        }
        let mut counts: HashMap<&[u8], usize> = HashMap::new();
        for element in dense.bytes().chunks_exact(dense.dtype().size()) {
            *counts.entry(element).or_default() += 1;
        }
        // Sorted, so that the sum is rounded the same way every time.
        let mut counts: Vec<usize> = counts.into_values().collect();
        counts.sort_unstable();
        let total = elements as f64;
        let entropy: f64 =
            counts.iter().map(|&n| n as f64 / total * (total / n as f64).log2()).sum();
        let bits_per_element = coded_bytes as f64 * 8.0 / total;
        let ratio = (entropy > 0.0).then(|| bits_per_element / entropy);
        Self { elements, coded_bytes, bits_per_element, entropy, ratio }
    }
}
