#[path = "../tests/common/mod.rs"]
mod common;
use paring_data::npy::Npz;
use std::path::Path;
fn main() {
    for name in std::env::args().skip(1) {
        let p = Path::new(&name);
        let g = match common::read(&p.with_extension("onnx"), &[]) {
            Ok(g) => g,
            Err(e) => {
                println!("{name}: {e}");
                continue;
            }
        };
        let mut c = std::collections::BTreeMap::new();
        for n in g.nodes() {
            let q = n.outputs().iter().all(|o| g.ty(*o).quant.is_some());
            *c.entry(format!("{}{}", n.op.name(), if q { ":q" } else { "" })).or_insert(0) += 1;
        }
        println!("{name}: {c:?}");
        if std::env::var("PRINT").is_ok() {
            println!("{g}");
        }
        let Ok(z) = Npz::open(&p.with_extension("npz")) else { continue };
        let x = z.get("input_0").unwrap();
        let w = z.get("output_0").unwrap();
        let n = x.shape()[0];
        let ex = common::executor();
        let mut s = match ex.prepare(g.verified().unwrap()) {
            Ok(s) => s,
            Err(e) => {
                println!("{e}");
                continue;
            }
        };
        let mut worst: f32 = 0.0;
        let mut agree = 0;
        for k in 0..n.min(6) {
            let sz = x.bytes().len() / n;
            let xi = paring_tensor::Tensor::new(
                x.dtype(),
                g.ty(g.inputs()[0].value).shape.fixed().unwrap(),
                x.bytes().slice(k * sz..(k + 1) * sz),
            )
            .unwrap();
            let y = match s.run(&[xi]) {
                Ok(y) => y,
                Err(e) => {
                    println!("{e}");
                    break;
                }
            };
            let y = y[0].to_f32();
            let wsz = w.len() / n;
            let wf = &w.to_f32()[k * wsz..(k + 1) * wsz];
            worst = y.iter().zip(wf).fold(worst, |m, (a, b)| m.max((a - b).abs()));
            let am = |v: &[f32]| v.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
            if am(&y) == am(wf) {
                agree += 1
            }
        }
        println!("   worst {worst} agree {agree}");
    }
}
