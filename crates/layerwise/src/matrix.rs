/// Sum of products, in four chains.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (heads, tails) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = heads.remainder().iter().zip(tails.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in heads.zip(tails) {
        for k in 0..4 {
            sums[k] += a[k] * b[k];
        }
    }
    sums[0] + sums[1] + sums[2] + sums[3] + rest
}

/// The lower Cholesky factor of some rows and columns of a positive `stride * stride` matrix, in the
/// given order.
pub(crate) fn cholesky(h: &[f64], stride: usize, order: &[usize]) -> Vec<f64> {
    let n = order.len();
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let rest =
                h[order[i] * stride + order[j]] - dot(&l[i * n..i * n + j], &l[j * n..j * n + j]);
            l[i * n + j] = if i == j {
                // Damping makes the matrix positive; rounding may eat that up in a tiny pivot.
                rest.max(h[order[i] * stride + order[i]] * 1e-12).sqrt()
            } else {
                rest / l[j * n + j]
            };
        }
    }
    l
}

/// Replaces the columns of `d`, as many as fill it, by the solutions of `L Lᵀ y = d`.
pub(crate) fn solve_columns(l: &[f64], n: usize, d: &mut [f64]) {
    let m = d.len() / n.max(1);
    let mut row = vec![0.0; m];
    for i in 0..n {
        row.copy_from_slice(&d[i * m..(i + 1) * m]);
        for k in 0..i {
            let f = l[i * n + k];
            row.iter_mut().zip(&d[k * m..(k + 1) * m]).for_each(|(r, d)| *r -= f * d);
        }
        let pivot = l[i * n + i];
        d[i * m..(i + 1) * m].iter_mut().zip(&row).for_each(|(d, r)| *d = r / pivot);
    }
    for i in (0..n).rev() {
        row.copy_from_slice(&d[i * m..(i + 1) * m]);
        for k in i + 1..n {
            let f = l[k * n + i];
            row.iter_mut().zip(&d[k * m..(k + 1) * m]).for_each(|(r, d)| *r -= f * d);
        }
        let pivot = l[i * n + i];
        d[i * m..(i + 1) * m].iter_mut().zip(&row).for_each(|(d, r)| *d = r / pivot);
    }
}

/// The inverse of a positive matrix.
pub(crate) fn inverse(h: &[f64], n: usize) -> Vec<f64> {
    let order: Vec<usize> = (0..n).collect();
    let l = cholesky(h, n, &order);
    let mut d = vec![0.0; n * n];
    (0..n).for_each(|i| d[i * n + i] = 1.0);
    solve_columns(&l, n, &mut d);
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_and_solutions_are_right() {
        let h = [4.0, 2.0, 0.5, 2.0, 3.0, 1.0, 0.5, 1.0, 2.0];
        let l = cholesky(&h, 3, &[0, 1, 2]);
        for i in 0..3 {
            for j in 0..3 {
                let back: f64 = (0..3).map(|k| l[i * 3 + k] * l[j * 3 + k]).sum();
                assert!((back - h[i * 3 + j]).abs() < 1e-12);
            }
        }
        let mut d = h.to_vec();
        solve_columns(&l, 3, &mut d);
        for i in 0..3 {
            for j in 0..3 {
                let want = f64::from(u8::from(i == j));
                assert!((d[i * 3 + j] - want).abs() < 1e-12);
            }
        }
    }
}
