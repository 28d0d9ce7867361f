/// Rows of a tile.
const ROWS: usize = 4;

/// A matrix that is read by rows or, transposed, by columns.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub(crate) data: &'a [f32],
    /// Distance of neighbours in a column and in a row.
    pub(crate) steps: (usize, usize),
}

/// Adds the product of an `m` by `k` matrix and a row-major `k` by `n` matrix to `c`. Sums run in the
/// order of `k`, so that results are the same on every processor.
pub(crate) fn add_product(sizes: (usize, usize, usize), a: Left<'_>, b: &[f32], c: &mut [f32]) {
    // The widest vectors that there are; products and sums stay apart, so that they round alike.
    pulp::Arch::new().dispatch(Product { sizes, a, b, c });
}

struct Product<'a> {
    sizes: (usize, usize, usize),
    a: Left<'a>,
    b: &'a [f32],
    c: &'a mut [f32],
}

impl pulp::NullaryFnOnce for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        add(self.sizes, self.a, self.b, self.c);
    }
}

#[inline(always)]
fn add((m, n, k): (usize, usize, usize), a: Left<'_>, b: &[f32], c: &mut [f32]) {
    if n == 0 || k == 0 {
        return;
    }
    let mut tile = vec![0.0_f32; ROWS * k];
    for i in (0..m).step_by(ROWS) {
        let rows = ROWS.min(m - i);
        pack(&mut tile, a, (i, rows), k);
        let c = &mut c[i * n..(i + rows) * n];
        let mut j = 0;
        while j + 16 <= n {
            columns::<16>(&tile, b, n, j, c);
            j += 16;
        }
        while j + 8 <= n {
            columns::<8>(&tile, b, n, j, c);
            j += 8;
        }
        while j < n {
            columns::<1>(&tile, b, n, j, c);
            j += 1;
        }
    }
}

/// Copies rows of the left matrix side by side; what lies behind the last of them is never read back.
#[inline(always)]
fn pack(tile: &mut [f32], a: Left<'_>, (first, rows): (usize, usize), k: usize) {
    let (down, right) = a.steps;
    if down == 1 {
        for (p, column) in tile.chunks_exact_mut(ROWS).enumerate() {
            let from = p * right + first;
            column[..rows].copy_from_slice(&a.data[from..from + rows]);
        }
        return;
    }
    for r in 0..rows {
        let row = a.data[(first + r) * down..].iter().step_by(right.max(1)).take(k);
        tile.chunks_exact_mut(ROWS).zip(row).for_each(|(column, x)| column[r] = *x);
    }
}

/// Adds what a tile of rows makes of some columns.
#[inline(always)]
fn columns<const N: usize>(tile: &[f32], b: &[f32], n: usize, j: usize, c: &mut [f32]) {
    let mut sums = [[0.0_f32; N]; ROWS];
    for (x, row) in tile.chunks_exact(ROWS).zip(b.chunks_exact(n)) {
        let Some(y) = row[j..].first_chunk::<N>() else { break };
        for (sum, x) in sums.iter_mut().zip(x) {
            for (s, y) in sum.iter_mut().zip(y) {
                *s += x * y;
            }
        }
    }
    for (row, sum) in c.chunks_exact_mut(n).zip(&sums) {
        row[j..j + N].iter_mut().zip(sum).for_each(|(c, s)| *c += s);
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
