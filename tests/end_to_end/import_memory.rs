//! What reading a model of MobileNetV2's size takes: time, and heap beside the mapped file.

use paring_format::WriteOptions;
use paring_ir::Graph;
use paring_ir::ops::{Activation, Conv2d, Padding};
use paring_ir::text::fill;
use paring_tensor::{DType, TensorType};
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

/// The system's allocator, counting.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it is.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Inverted residuals without the residuals: expansions, depthwise convolutions and projections with the
/// channels of MobileNetV2, 3.5 million weights.
fn network() -> Graph {
    let mut g = Graph::new("mobile");
    let mut seed = 0;
    let mut x = g.add_input("x", TensorType::new(DType::F32, [1, 56, 56, 32])).unwrap();
    let mut layer = |g: &mut Graph, x, filters: usize, kernel: usize, groups: usize| {
        seed += 1;
        let channels = g.ty(x).shape.fixed().unwrap()[3];
        let shape = [filters, kernel, kernel, channels / groups];
        let w = fill(seed, DType::F32, &shape).unwrap();
        let w = g.add_const(format!("w{seed}"), w, None).unwrap();
        let b = fill(seed, DType::F32, &[filters]).unwrap();
        let b = g.add_const(format!("b{seed}"), b, None).unwrap();
        let op = Conv2d {
            stride: [1, 1],
            pad: Padding::SAME,
            dilation: [1, 1],
            groups,
            activation: Activation::Relu6,
        };
        g.add_node(format!("conv{seed}"), op, &[x, w, b]).unwrap()[0]
    };
    for (channels, blocks) in [(24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)] {
        for _ in 0..blocks {
            let wide = g.ty(x).shape.fixed().unwrap()[3] * 6;
            x = layer(&mut g, x, wide, 1, 1);
            x = layer(&mut g, x, wide, 3, wide);
            x = layer(&mut g, x, channels, 1, 1);
        }
    }
    x = layer(&mut g, x, 1280, 1, 1);
    x = layer(&mut g, x, 1000, 1, 1);
    g.add_output("y", x);
    g
}

#[test]
fn weights_stay_in_the_mapped_file() {
    let dir = tempfile::tempdir().unwrap();
    let graph = network();
    // Heap beside the mapped file, in parts of the weights. ONNX has filters as OIHW, which the graph's
    // OHWI takes one copy of; TFLite's are used where they lie, but for the depthwise ones.
    for (extension, most) in [("onnx", 1.1), ("tflite", 0.1)] {
        let path = dir.path().join(format!("mobile.{extension}"));
        paring_format::write(&graph, &path, &WriteOptions::default()).unwrap();
        let bytes = std::fs::metadata(&path).unwrap().len() as f64;
        assert!(bytes > 13e6, "{bytes}");
        // The file is in memory then, as after writing it.
        drop(paring_bundle::read_model(&path, &BTreeMap::new()).unwrap());
        let before = NOW.load(Relaxed);
        PEAK.store(before, Relaxed);
        let start = Instant::now();
        let read = paring_bundle::read_model(&path, &BTreeMap::new()).unwrap();
        let time = start.elapsed();
        let heap = (PEAK.load(Relaxed) - before) as f64;
        println!("{extension}: {bytes} bytes, {heap} of heap at most, {time:?}");
        assert!(heap < most * bytes, "{extension}: {heap} bytes of heap for a file of {bytes}");
        if !cfg!(debug_assertions) {
            assert!(time.as_secs_f64() < 0.2, "{extension}: {time:?}");
        }
        drop(read);
    }
}
