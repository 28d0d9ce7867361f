/// Non-negative least squares by coordinate descent; rows are relative, so errors are too.
pub fn solve(rows: &[Vec<(usize, f64)>], wanted: &[f64], columns: usize) -> Vec<f64> {
    let mut gram = vec![std::collections::BTreeMap::new(); columns];
    let mut right = vec![0.0; columns];
    for (row, &y) in rows.iter().zip(wanted) {
        let weight = 1.0 / y.max(1.0);
        for &(i, a) in row {
            right[i] += a * weight * y * weight;
            for &(j, b) in row {
                *gram[i].entry(j).or_insert(0.0) += a * weight * b * weight;
            }
        }
    }
    let gram: Vec<Vec<(usize, f64)>> = gram.into_iter().map(|g| g.into_iter().collect()).collect();
    let mut x = vec![0.0_f64; columns];
    for _ in 0..60_000 {
        let mut moved: f64 = 0.0;
        for i in 0..columns {
            let (mut own, mut dot) = (0.0, 0.0);
            for &(j, g) in &gram[i] {
                dot += g * x[j];
                if i == j {
                    own = g;
                }
            }
            if own > 0.0 {
                let next: f64 = (x[i] + (right[i] - dot) / own).max(0.0);
                moved = moved.max((next - x[i]).abs() / next.max(1.0));
                x[i] = next;
            }
        }
        if moved < 1e-9 {
            break;
        }
    }
    x
}
