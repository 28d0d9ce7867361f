//! The order of layers that needs the least memory, and the picture of the plan.

use paring_backend::{Backend, CompileOptions, Package};
use paring_cortex_m::CORTEX_M;

/// Two branches that each widen before they shrink, written so that both are wide at once.
const BRANCHES: &str = "graph @branches {
    %x = input : i8[1,8,8,4] q(0.1, 0)
    %w = const fill(seed=1) : i8[32,1,1,4] q(0.01, 0)
    %v = const fill(seed=2) : i8[32,1,1,4] q(0.01, 0)
    %a = conv2d(%x, %w) { groups = 1, pad = \"valid\", stride = [1, 1] } : i8[1,8,8,32] q(0.1, 0)
    %b = conv2d(%x, %v) { groups = 1, pad = \"valid\", stride = [1, 1] } : i8[1,8,8,32] q(0.1, 0)
    %c = pool(%a) { kernel = [4, 4], kind = \"max\", pad = \"valid\", stride = [4, 4] } : i8[1,2,2,32] q(0.1, 0)
    %d = pool(%b) { kernel = [4, 4], kind = \"max\", pad = \"valid\", stride = [4, 4] } : i8[1,2,2,32] q(0.1, 0)
    %y = binary(%c, %d) { f = \"add\" } : i8[1,2,2,32] q(0.1, 0)
    output %y
  }";

fn compile(text: &str) -> Package {
    let graph = paring_ir::text::parse(text).unwrap_or_else(|e| panic!("{e}"));
    let options = CompileOptions { target: "cortex-m4".into(), ..CompileOptions::default() };
    let verified = graph.verified().unwrap_or_else(|e| panic!("{e}"));
    CORTEX_M.compile(verified, &options).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn branches_are_done_one_after_the_other() {
    let package = compile(BRANCHES);
    let names: Vec<&str> = package.sizes.layers.iter().map(|l| l.name.as_str()).collect();
    assert!(names == ["a", "c", "b", "d", "y"] || names == ["b", "d", "a", "c", "y"], "{names:?}");
    // Input, one wide value, one narrow one and scratch; both wide ones at once take 4,352.
    assert!(package.sizes.ram_bytes < 2600, "{}", package.sizes.ram_bytes);
}

#[test]
fn the_picture_shows_who_lives_where() {
    let package = compile(BRANCHES);
    let file = |name: &str| {
        let found = package.files.iter().find(|(n, _)| n == name);
        let (_, bytes) = found.unwrap_or_else(|| panic!("no {name}"));
        String::from_utf8(bytes.clone()).expect("text")
    };
    let text = file("model_memory.txt");
    let svg = file("model_memory.svg");
    for name in ["x", "a", "b", "c", "d", "y", "scratch of a"] {
        assert!(text.lines().any(|l| l.ends_with(&format!("  {name}"))), "{name} in\n{text}");
        assert!(svg.contains(&format!("<title>{name}: ")), "{name} in\n{svg}");
    }
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("<rect").count(), svg.matches("</rect>").count() + 1);
    // No piece reaches beyond the arena.
    let arena = package.sizes.ram_bytes;
    let pieces: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|l| !l.contains("piece"))
        .skip(1)
        .take_while(|l| !l.is_empty())
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert!(pieces.len() >= 8, "{text}");
    for piece in pieces {
        let number = |i: usize| piece[i].parse::<usize>().expect("a number");
        assert!(number(1) + number(2) <= arena, "{piece:?}");
    }
}
