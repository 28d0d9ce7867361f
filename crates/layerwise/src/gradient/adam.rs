/// First and second moments of slopes (Kingma and Ba, 2015).
pub struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Adam {
    /// Of so many numbers, at rest.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self { first: vec![0.0; n], second: vec![0.0; n] }
    }

    /// The direction to go, of magnitude one where slopes keep their sign.
    pub fn step(&mut self, i: usize, slope: f32, time: i32) -> f32 {
        let (b1, b2) = (0.9_f32, 0.999_f32);
        self.first[i] = b1 * self.first[i] + (1.0 - b1) * slope;
        self.second[i] = b2 * self.second[i] + (1.0 - b2) * slope * slope;
        let first = self.first[i] / (1.0 - b1.powi(time));
        let second = self.second[i] / (1.0 - b2.powi(time));
        -first / (second.sqrt() + 1e-12)
    }
}
