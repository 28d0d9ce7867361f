//! Writes MobileNet V1 and V2 at 224, `f32` and `i8`, with random weights as packages into a directory, each
//! with an input.

use paring_backend::{Backend, CompileOptions};
use paring_neon::Neon;
use paring_opsuite::networks::{input, mobilenet_v1, mobilenet_v2};
use paring_reference as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: mobilenet_packages DIRECTORY")?;
    for int8 in [false, true] {
        let kind = if int8 { "i8" } else { "f32" };
        for (name, graph) in [("v1", mobilenet_v1(int8)), ("v2", mobilenet_v2(int8))] {
            let prefix = format!("mobilenet_{name}_{kind}");
            let options = CompileOptions {
                target: "aarch64".to_owned(),
                prefix: prefix.clone(),
                ..CompileOptions::default()
            };
            Neon.compile(graph.verified()?, &options)?.write(&Path::new(&dir).join(&prefix))?;
            let x = input(graph.ty(graph.inputs()[0].value));
            std::fs::write(Path::new(&dir).join(&prefix).join("inputs"), x.bytes())?;
            println!("{prefix}");
        }
    }
    Ok(())
}
