//! Spots keywords: `keyword_spotting PACKAGE FEATURES...` prints the word in each window of features.
//!
//! A file holds the features of a second of sound, in the bytes that the model takes; a program on a device
//! computes them from its microphone and keeps one runner for all of them.

use std::error::Error;

/// The words of the model of MLPerf Tiny.
const WORDS: [&str; 12] =
    ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes", "silence", "unknown"];

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, package, files @ ..] = &args[..] else {
        return Err("usage: keyword_spotting PACKAGE FEATURES...".into());
    };
    let model = paring_rt::open(package)?;
    let ([_], [output]) = (model.inputs(), model.outputs()) else {
        return Err("the model has more than one input or output".into());
    };
    let (Some((scale, zero)), [1, 12]) = (output.quant, &output.shape[..]) else {
        return Err("the model has no twelve words of bytes".into());
    };
    let mut runner = model.runner();
    let mut scores = vec![0; output.len];
    for file in files {
        let features = std::fs::read(file).map_err(|e| format!("{file}: {e}"))?;
        runner.run(&[&features], &mut [&mut scores]).map_err(|e| format!("{file}: {e}"))?;
        let mut best = 0;
        for (i, score) in scores.iter().enumerate() {
            if *score as i8 > scores[best] as i8 {
                best = i;
            }
        }
        let score = scale * (i32::from(scores[best] as i8) - zero) as f32;
        println!("{best} {score:.4} {}", WORDS[best]);
    }
    Ok(())
}
