//! Runs targets for as long as asked: `paring-fuzz SECONDS [NAME...]`.

use paring_fuzz::{Counting, run, targets};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let seconds = arguments.next().and_then(|s| s.parse().ok()).unwrap_or(10.0);
    let names: Vec<String> = arguments.collect();
    let known = |name: &String| targets::named(name).is_some();
    if let Some(name) = names.iter().find(|n| !known(n)) {
        let all: Vec<_> = targets::ALL.iter().map(|t| t.name).collect();
        eprintln!("no target `{name}`; there are {}", all.join(", "));
        std::process::exit(2);
    }
    for target in targets::ALL {
        if names.is_empty() || names.iter().any(|n| n == target.name) {
            let o = run(target, Duration::from_secs_f64(seconds));
            let share = o.accepted * 100 / o.cases.max(1);
            println!(
                "{:18} {:8} files, {share:3} % accepted, {:3} % of the bound ({} KiB), {:?} the slowest",
                target.name,
                o.cases,
                o.memory,
                o.most >> 10,
                o.slowest
            );
        }
    }
}
