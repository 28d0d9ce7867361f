/// Rows and columns of a tile.
const ROWS: usize = 4;
const COLUMNS: usize = 8;

/// A matrix that is read by rows or, transposed, by columns.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    /// Distance of neighbours in a column and in a row.
    pub(crate) steps: (usize, usize),
}

/// Adds the product of an `m` by `k` matrix and a row-major `k` by `n` matrix to `c`. Sums run in the
/// order of `k`, so that results are the same on every processor.
pub(crate) fn add_product((m, n, k): (usize, usize, usize), a: Left<'_>, b: &[f32], c: &mut [f32]) {
    if n == 0 || k == 0 {
        return;
    }
    let mut tile = vec![0.0_f32; ROWS * k];
    for i in (0..m).step_by(ROWS) {
        let rows = ROWS.min(m - i);
        for (p, column) in tile.chunks_exact_mut(ROWS).enumerate() {
            for (r, x) in column.iter_mut().enumerate() {
                *x = if r < rows { a.data[(i + r) * a.steps.0 + p * a.steps.1] } else { 0.0 };
            }
        }
        let mut j = 0;
        while j + COLUMNS <= n {
            let mut sums = [[0.0_f32; COLUMNS]; ROWS];
            for (x, row) in tile.chunks_exact(ROWS).zip(b.chunks_exact(n)) {
                let Some(y) = row[j..].first_chunk::<COLUMNS>() else { break };
                for (sum, x) in sums.iter_mut().zip(x) {
                    for (s, y) in sum.iter_mut().zip(y) {
                        *s += x * y;
                    }
                }
            }
            for (r, sum) in sums.iter().take(rows).enumerate() {
                let to = &mut c[(i + r) * n + j..(i + r) * n + j + COLUMNS];
                to.iter_mut().zip(sum).for_each(|(c, s)| *c += s);
            }
            j += COLUMNS;
        }
        for j in j..n {
            let mut sums = [0.0_f32; ROWS];
            for (x, row) in tile.chunks_exact(ROWS).zip(b.chunks_exact(n)) {
                sums.iter_mut().zip(x).for_each(|(s, x)| *s += x * row[j]);
            }
            for (r, s) in sums.iter().take(rows).enumerate() {
                c[(i + r) * n + j] += s;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_plain_sum_for_either_order_of_the_left_matrix() {
        for (m, n, k) in [(1, 1, 1), (4, 8, 3), (5, 11, 7), (9, 3, 16)] {
            let a: Vec<f32> = (0..m * k).map(|i| (i % 7) as f32 - 3.0).collect();
            let b: Vec<f32> = (0..k * n).map(|i| (i % 5) as f32 - 2.0).collect();
            for steps in [(k, 1), (1, m)] {
                let mut c = vec![1.0; m * n];
                add_product((m, n, k), Left { data: &a, steps }, &b, &mut c);
                for i in 0..m {
                    for j in 0..n {
                        let sum: f32 =
                            (0..k).map(|p| a[i * steps.0 + p * steps.1] * b[p * n + j]).sum();
                        assert_eq!(c[i * n + j], 1.0 + sum, "{m} {n} {k} at {i} {j}");
                    }
                }
            }
        }
    }
}
