//! How long it takes to open a package: the file is in the page cache.

use divan::Bencher;
use paring_backend::{Backend, CompileOptions};
use paring_ir::Graph;
use paring_neon::Neon;
use paring_opsuite::networks::{mobilenet_v1, mobilenet_v2};
use paring_reference as _;

fn main() {
    divan::main();
}

fn open(bencher: Bencher<'_, '_>, graph: &Graph) {
    let options = CompileOptions { target: "aarch64".to_owned(), ..CompileOptions::default() };
    let package = Neon.compile(graph.verified().unwrap(), &options).unwrap();
    let (_, bytes) = package.files.into_iter().find(|f| f.0.ends_with(".prt")).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    bencher.bench(|| paring_rt::open(file.path()).unwrap());
}

#[divan::bench]
fn mobilenet_v1_f32(bencher: Bencher<'_, '_>) {
    open(bencher, &mobilenet_v1(false));
}

#[divan::bench]
fn mobilenet_v2_f32(bencher: Bencher<'_, '_>) {
    open(bencher, &mobilenet_v2(false));
}

#[divan::bench]
fn mobilenet_v2_i8(bencher: Bencher<'_, '_>) {
    open(bencher, &mobilenet_v2(true));
}
