/// The lower Cholesky factor of a positive matrix whose rows and columns are taken in an order.
pub(crate) fn cholesky(h: &[f64], n: usize, order: &[usize]) -> Vec<f64> {
    let mut l = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let (a, b) = (&l[i * n..i * n + j], &l[j * n..j * n + j]);
            let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            let rest = h[order[i] * n + order[j]] - dot;
            l[i * n + j] = if i == j {
                // Damping makes the matrix positive; rounding may eat that up in a tiny pivot.
                rest.max(h[order[i] * n + order[i]] * 1e-12).sqrt()
            } else {
                rest / l[j * n + j]
            };
        }
    }
    l
}

/// Replaces the columns of `d` by the solutions of `L Lᵀ y = d`.
pub(crate) fn solve_columns(l: &[f64], n: usize, d: &mut [f64]) {
    let mut row = vec![0.0; n];
    for i in 0..n {
        row.copy_from_slice(&d[i * n..(i + 1) * n]);
        for k in 0..i {
            let f = l[i * n + k];
            row.iter_mut().zip(&d[k * n..(k + 1) * n]).for_each(|(r, d)| *r -= f * d);
        }
        let pivot = l[i * n + i];
        d[i * n..(i + 1) * n].iter_mut().zip(&row).for_each(|(d, r)| *d = r / pivot);
    }
    for i in (0..n).rev() {
        row.copy_from_slice(&d[i * n..(i + 1) * n]);
        for k in i + 1..n {
            let f = l[k * n + i];
            row.iter_mut().zip(&d[k * n..(k + 1) * n]).for_each(|(r, d)| *r -= f * d);
        }
        let pivot = l[i * n + i];
        d[i * n..(i + 1) * n].iter_mut().zip(&row).for_each(|(d, r)| *d = r / pivot);
    }
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
