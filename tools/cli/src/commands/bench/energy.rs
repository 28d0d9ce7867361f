//! Energy counters of the processor, where the system shows them.

use std::path::{Path, PathBuf};

/// A counter of a processor package: its file, and where it begins again.
struct Counter {
    file: PathBuf,
    range: u64,
    start: u64,
}

/// Reads the counters now and later.
pub struct Meter(Vec<Counter>);

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

impl Meter {
    /// Begins to count.
    pub fn start() -> Self {
        Self::of(Path::new("/sys/class/powercap"))
    }

    fn of(folder: &Path) -> Self {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let counter = |path: PathBuf| {
            // Packages hold the counters of cores and memory, which would be counted twice.
            let name = std::fs::read_to_string(path.join("name")).ok()?;
            name.starts_with("package").then_some(())?;
            let file = path.join("energy_uj");
            let start = number(&file)?;
            let range = number(&path.join("max_energy_range_uj")).unwrap_or(u64::MAX);
            Some(Counter { file, range, start })
        };
        Self(entries.filter_map(|e| counter(e.path())).collect())
    }

    /// The energy since the start; `None` where there is no counter.
    pub fn joules(self) -> Option<f64> {
        if self.0.is_empty() {
            return None;
        }
        let mut total = 0.0;
        for counter in self.0 {
            let now = number(&counter.file)?;
            let spent = match now.checked_sub(counter.start) {
                Some(spent) => spent,
                None => counter.range.saturating_sub(counter.start).saturating_add(now),
            };
            total += spent as f64 * 1e-6;
        }
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_counted_and_counters_begin_again() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str, label: &str, energy: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("name"), label).unwrap();
            std::fs::write(path.join("energy_uj"), energy).unwrap();
            std::fs::write(path.join("max_energy_range_uj"), "10000000\n").unwrap();
            path.join("energy_uj")
        };
        let one = make("intel-rapl:0", "package-0\n", "9000000\n");
        let core = make("intel-rapl:0:0", "core\n", "5\n");
        let meter = Meter::of(folder.path());
        std::fs::write(one, "1000000\n").unwrap();
        std::fs::write(core, "999\n").unwrap();
        let joules = meter.joules().unwrap();
        assert!((joules - 2.0).abs() < 1e-9, "{joules}");
        assert_eq!(Meter::of(&folder.path().join("none")).joules(), None);
    }
}
