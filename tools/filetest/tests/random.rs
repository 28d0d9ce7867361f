//! Random small networks through every pass that promises to keep what they compute.

use paring_filetest::run;
use paring_ir::{Graph, text};
use paring_pass::{Pipeline, RunOptions};
use std::fmt::Write;

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

/// An image in a network being written: name, height and width, channels, and whether it is stored as
/// NCHW.
#[derive(Clone)]
struct Image {
    name: String,
    side: usize,
    channels: usize,
    nchw: bool,
}

impl Image {
    fn ty(&self) -> String {
        let Self { side, channels, nchw, .. } = self;
        if *nchw {
            format!("f32[2,{channels},{side},{side}]")
        } else {
            format!("f32[2,{side},{side},{channels}]")
        }
    }
}

struct Writer {
    text: String,
    draw: Draw,
    count: usize,
}

impl Writer {
    fn name(&mut self) -> String {
        self.count += 1;
        format!("v{}", self.count)
    }

    /// A constant with a share of zeros, whole rows of them among others.
    fn constant(&mut self, shape: &[usize]) -> String {
        let name = self.name();
        let len: usize = shape.iter().product();
        let row = (len / shape[0]).max(1);
        let mut numbers = Vec::with_capacity(len);
        let mut blank = false;
        for i in 0..len {
            if i % row == 0 {
                blank = self.draw.below(4) == 0;
            }
            let number = (self.draw.below(17) as f32 - 8.0) / 8.0;
            numbers.push(if blank { 0.0 } else { number });
        }
        writeln!(self.text, "  %{name} = const {numbers:?} : f32{shape:?}").unwrap();
        name
    }

    fn positive(&mut self, len: usize) -> String {
        let name = self.name();
        let numbers: Vec<f32> = (0..len).map(|_| 0.25 + self.draw.below(8) as f32 / 4.0).collect();
        writeln!(self.text, "  %{name} = const {numbers:?} : f32[{len}]").unwrap();
        name
    }

    fn put(&mut self, call: &str, image: &mut Image) {
        image.name = self.name();
        writeln!(self.text, "  %{} = {call} : {}", image.name, image.ty()).unwrap();
    }

    /// Changes the stored layout, as readers of NCHW formats do around every op on images.
    fn turn(&mut self, image: &Image, nchw: bool) -> Image {
        let mut turned = Image { nchw, ..image.clone() };
        if image.nchw != nchw {
            let perm = if nchw { "[0, 3, 1, 2]" } else { "[0, 2, 3, 1]" };
            self.put(&format!("transpose(%{}) {{ perm = {perm} }}", image.name), &mut turned);
        }
        turned
    }

    fn convolution(&mut self, image: &Image) -> Image {
        let mut x = self.turn(image, false);
        let depthwise = self.draw.below(3) == 0;
        let outputs = if depthwise { x.channels } else { 1 + self.draw.below(4) };
        let groups = if depthwise { x.channels } else { 1 };
        let kernel = [1, 3][self.draw.below(2)].min(x.side);
        let same = self.draw.below(2) == 0;
        let w = self.constant(&[outputs, kernel, kernel, x.channels / groups]);
        let b = self.constant(&[outputs]);
        let pad = if same { "same" } else { "valid" };
        let from = x.name.clone();
        x.channels = outputs;
        x.side = if same { x.side } else { x.side - kernel + 1 };
        let attributes = format!("groups = {groups}, pad = \"{pad}\", stride = [1, 1]");
        self.put(&format!("conv2d(%{from}, %{w}, %{b}) {{ {attributes} }}"), &mut x);
        self.turn(&x, image.nchw)
    }

    fn step(&mut self, image: &Image) -> Image {
        let mut y = image.clone();
        let axis = if image.nchw { 1 } else { 3 };
        let x = &image.name;
        match self.draw.below(10) {
            0 => {
                let f = ["relu", "relu6", "abs", "sigmoid"][self.draw.below(4)];
                self.put(&format!("unary(%{x}) {{ f = \"{f}\" }}"), &mut y);
            }
            1 => {
                let f = ["add", "mul", "sub"][self.draw.below(3)];
                let mut shape = [1, 1, 1, 1];
                shape[axis] = image.channels;
                let k = self.constant(&shape);
                self.put(&format!("binary(%{x}, %{k}) {{ f = \"{f}\" }}"), &mut y);
            }
            2 => {
                let z = self.step(image);
                if (z.side, z.channels) == (image.side, image.channels) {
                    self.put(&format!("binary(%{x}, %{}) {{ f = \"add\" }}", z.name), &mut y);
                } else {
                    y = z;
                }
            }
            3 => {
                y.channels *= 2;
                self.put(&format!("concat(%{x}, %{x}) {{ axis = {axis} }}"), &mut y);
            }
            4 => {
                let mut pads = [[0, 0]; 4];
                let spatial = if image.nchw { [2, 3] } else { [1, 2] };
                spatial.into_iter().for_each(|a| pads[a] = [1, 0]);
                y.side += 1;
                let call = format!("pad(%{x}) {{ mode = {{ constant = 0.0 }}, pads = {pads:?} }}");
                self.put(&call, &mut y);
            }
            5 if image.side >= 2 => {
                let mut p = self.turn(image, false);
                let from = p.name.clone();
                let kind = ["max", "average"][self.draw.below(2)];
                p.side /= 2;
                let attributes =
                    format!("kernel = [2, 2], kind = \"{kind}\", pad = \"valid\", stride = [2, 2]");
                self.put(&format!("pool(%{from}) {{ {attributes} }}"), &mut p);
                y = self.turn(&p, image.nchw);
            }
            6 => {
                let mut n = self.turn(image, false);
                let from = n.name.clone();
                let [s, b, m] = [0; 3].map(|_| self.constant(&[n.channels]));
                let v = self.positive(n.channels);
                let call =
                    format!("batch_norm(%{from}, %{s}, %{b}, %{m}, %{v}) {{ epsilon = 0.001 }}");
                self.put(&call, &mut n);
                y = self.turn(&n, image.nchw);
            }
            _ => y = self.convolution(image),
        }
        y
    }

    fn network(seed: u64) -> String {
        let mut w = Self { text: String::new(), draw: Draw(seed), count: 0 };
        let nchw = w.draw.below(2) == 0;
        let mut image = Image { name: "x".into(), side: 5, channels: 2, nchw };
        writeln!(w.text, "graph @random{seed} {{\n  %x = input : {}", image.ty()).unwrap();
        for _ in 0..3 + w.draw.below(6) {
            image = w.step(&image);
            if image.channels > 8 {
                break;
            }
        }
        // Ends as an image, as means, or as a dense layer over everything.
        match w.draw.below(3) {
            0 => writeln!(w.text, "  output %{}\n}}", image.name).unwrap(),
            1 => {
                let axes = if image.nchw { "[2, 3]" } else { "[1, 2]" };
                let attributes = format!("axes = {axes}, f = \"mean\", keep_dims = false");
                let (x, c) = (&image.name, image.channels);
                writeln!(w.text, "  %y = reduce(%{x}) {{ {attributes} }} : f32[2,{c}]").unwrap();
                writeln!(w.text, "  output %y\n}}").unwrap();
            }
            _ => {
                let n = image.side * image.side * image.channels;
                let k = w.constant(&[2, n]);
                let x = &image.name;
                writeln!(w.text, "  %f = reshape(%{x}) {{ shape = [2, {n}] }} : f32[2,{n}]")
                    .unwrap();
                writeln!(w.text, "  %y = dense(%f, %{k}) : f32[2,2]\n  output %y\n}}").unwrap();
            }
        }
        w.text
    }
}

fn through(graph: &Graph, passes: &[&str]) -> Result<Graph, String> {
    let mut graph = graph.clone();
    for pass in passes {
        let pipeline = Pipeline::single(pass, "{}").map_err(|e| e.to_string())?;
        let done = pipeline
            .run(&graph, &run::SeededHost, &mut RunOptions::default())
            .map_err(|e| e.to_string())?;
        let effect = pipeline.steps[0].info.effect;
        run::compare(&graph, &done.graph, effect, None).map_err(|e| format!("{pass}: {e:#}"))?;
        graph = done.graph;
    }
    Ok(graph)
}

#[test]
fn passes_keep_what_random_networks_compute() {
    let orders: [&[&str]; 4] = [
        &["cleanup", "layout", "fold-bn", "fuse", "remove-dead-channels", "cleanup"],
        &["layout", "remove-dead-channels", "fuse"],
        &["fold-bn", "cleanup", "layout"],
        &["remove-dead-channels", "fuse", "fold-bn", "layout"],
    ];
    let mut left = 0;
    for seed in 0..400 {
        let source = Writer::network(seed);
        let graph = text::parse(&source).unwrap_or_else(|e| panic!("{e}\n{source}"));
        graph.verified().unwrap_or_else(|e| panic!("{e}\n{source}"));
        let order = orders[seed as usize % orders.len()];
        let done = through(&graph, order).unwrap_or_else(|e| panic!("{order:?}: {e}\n{source}"));
        left += done.to_string().matches("= transpose(").count();
    }
    // What layout leaves: images that end in a dense layer over a padded or joined NCHW flattening
    // are absorbed, so next to nothing stays.
    assert!(left <= 20, "{left} transposes are left over 400 networks");
}

#[test]
fn quantized_random_networks_stay_near_the_real_ones() {
    for seed in 1000..1100 {
        let source = Writer::network(seed);
        let graph = text::parse(&source).unwrap_or_else(|e| panic!("{e}\n{source}"));
        let real = through(&graph, &["cleanup", "layout", "fold-bn", "fuse", "calibrate"])
            .unwrap_or_else(|e| panic!("{e}\n{source}"));
        let peak = run::largest_output(&real).unwrap_or_else(|e| panic!("{e}\n{source}"));
        let pipeline = Pipeline::single("quantize", "{}").unwrap();
        let done = pipeline
            .run(&real, &run::SeededHost, &mut RunOptions::default())
            .unwrap_or_else(|e| panic!("{e}\n{source}"));
        run::compare(&real, &done.graph, pipeline.steps[0].info.effect, Some(0.15 * peak + 1e-3))
            .unwrap_or_else(|e| panic!("{e:#}\n{source}\n{}", done.graph));
    }
}
