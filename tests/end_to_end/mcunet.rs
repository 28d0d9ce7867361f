//! A network for microcontrollers with 256 KB: layers that run by rows and patches halve its memory.

use crate::paring::{emulator, json, shared};

#[test]
fn rows_halve_the_memory_of_mcunet() {
    let Some(data) = shared() else { return };
    if !emulator() {
        return;
    }
    let model = data.join("models/tflite/mcunet_320kb_int8.tflite");
    let inputs = data.join("expected/mcunet_320kb_int8.npz");
    let verify = |more: &[&str]| {
        let (model, inputs) = (model.to_str().unwrap(), inputs.to_str().unwrap());
        let args = ["verify", model, "--target", "cortex-m4", "--inputs", inputs, "--limit", "1"];
        json(&[&args[..], more].concat())
    };
    let layers = verify(&[]);
    let number = |seen: &serde_json::Value, key: &str| seen[key].as_u64().unwrap();
    // Where layers run one after another, the operand and the result of the widest one stand side by
    // side: 88x88 pixels of 8 and of 24 channels, once channels that compute nothing are gone. Whole
    // layers take less than that where a result may lie over what it is computed from.
    let side_by_side = 88 * 88 * (8 + 24);
    assert!(number(&layers, "ram_bytes") <= 190_000, "{layers}");
    let half = side_by_side / 2;
    let rows = verify(&["--ram", &half.to_string()]);
    assert!(layers["equal"] == true && rows["equal"] == true, "{layers} {rows}");
    assert!(number(&rows, "ram_bytes") <= half, "{rows}");
    let least = verify(&["--ram", "min"]);
    // Half of what whole layers take with all of that.
    let least_bytes = number(&least, "ram_bytes");
    assert!(least["equal"] == true && 2 * least_bytes <= number(&layers, "ram_bytes"), "{least}");
    // Little is computed twice; what is left is moving rows and widening some anew.
    for seen in [&rows, &least] {
        let (with, without) = (number(seen, "instructions"), number(&layers, "instructions"));
        assert!(with * 100 <= without * 106, "{with} for {without}");
        assert!(number(seen, "flash_bytes") <= number(&layers, "flash_bytes") + 6_000, "{seen}");
    }
}
