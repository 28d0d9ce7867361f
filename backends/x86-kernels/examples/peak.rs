//! Multiply-accumulates a second of the products, on data in the cache.

use paring_kernels::{I8Panel, Kernels, Rows};
use paring_qmath::{Multiplier, Rounding};
use paring_x86_kernels::{Level, X86Kernels};
use std::time::Instant;

/// Seconds of one call: the least of many short measurements.
fn least(mut f: impl FnMut()) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..200 {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let (rows, width) = (14 * 4, 32);
    for depth in [16, 32, 64, 128, 256, 512] {
        for level in [Level::Avx2, Level::Avx512] {
            if !level.is_available() {
                continue;
            }
            let kernels = X86Kernels::new(level);
            let tile = kernels.f32_tile();
            let a = vec![0.5_f32; rows * depth];
            let padded = rows.next_multiple_of(tile.rows);
            let at: Vec<u32> = (0..padded).map(|r| (r.min(rows - 1) * depth) as u32).collect();
            let r = Rows::new(&a, &at, &a, 1, depth, rows, tile.rows);
            let panel = vec![0.25_f32; tile.width * (1 + depth)];
            let mut out = vec![0.0_f32; rows * width];
            let runs = 20;
            let time = least(|| {
                for _ in 0..runs {
                    kernels.f32_gemm(
                        &r,
                        &panel,
                        tile.width,
                        None,
                        (-1e9, 1e9),
                        tile.width,
                        width,
                        &mut out,
                    );
                }
            });
            let macs = (runs * rows * depth * tile.width) as f64;
            println!("f32 {} depth {depth}: {:.1} GMAC/s", level.name(), macs / time / 1e9);
        }
        for level in [Level::Avx2, Level::Avx512] {
            if !level.is_available() {
                continue;
            }
            let kernels = X86Kernels::new(level);
            let tile = kernels.i8_tile();
            let reach = depth.next_multiple_of(kernels.i8_step());
            let a = vec![3_i8; rows * depth + reach];
            let padded = rows.next_multiple_of(tile.rows);
            let at: Vec<u32> = (0..padded).map(|r| (r.min(rows - 1) * depth) as u32).collect();
            let r = Rows::new(&a, &at, &a, 1, depth, rows, tile.rows);
            let width = tile.width;
            let mut panel = vec![0_u8; kernels.i8_panel_len(1, depth, width)];
            let from = I8Panel {
                weights: &vec![5; width * depth],
                taps: 1,
                depth,
                width,
                bias: &[7; 32][..width],
                multipliers: &[Multiplier::from_real(0.01); 32][..width],
                rounding: Rounding::Double,
                zero_point: 3,
                bounds: (-128, 127),
            };
            assert!(kernels.i8_pack(&from, &mut panel));
            let mut out = vec![0_i8; rows * width];
            let runs = 20;
            let time = least(|| {
                for _ in 0..runs {
                    kernels.i8_gemm(&r, &panel, width, width, width, &mut out);
                }
            });
            let macs = (runs * rows * depth * width) as f64;
            println!("i8 {} depth {depth}: {:.1} GMAC/s", level.name(), macs / time / 1e9);
        }
    }
}
