use super::*;
use paring_ir::text::parse;
use paring_ir::{ExecError, Executor, Observer as See, Session, Verified};
use paring_pass::{Host, Pipeline, Samples};
use std::sync::Arc;

/// Runs graphs whose one node adds a value to itself.
struct Doubler;

struct Run(ValueId, ValueId);

impl Executor for Doubler {
    fn name(&self) -> &str {
        "doubler"
    }

    fn prepare(&self, graph: Verified<'_>) -> Result<Box<dyn Session>, ExecError> {
        let g = graph.graph();
        Ok(Box::new(Run(g.inputs()[0].value, g.outputs()[0].value)))
    }
}

impl Session for Run {
    fn run_observed(
        &mut self,
        inputs: &[Tensor],
        observer: See<'_>,
    ) -> Result<Vec<Tensor>, ExecError> {
        let twice: Vec<f32> = inputs[0].to_f32().iter().map(|x| x + x).collect();
        let out = Tensor::from_vec(inputs[0].shape(), twice).unwrap();
        observer(self.0, &inputs[0]);
        observer(self.1, &out);
        Ok(vec![out])
    }

    fn reset(&mut self) {}

    fn fork(&self) -> Box<dyn Session> {
        Box::new(Run(self.0, self.1))
    }
}

struct Data(Vec<Vec<f32>>);

impl Samples for Data {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> Result<Vec<Tensor>, String> {
        let row = self.0[index].clone();
        Ok(vec![Tensor::from_vec([1, row.len()], row).unwrap()])
    }
}

struct TestHost(Arc<Data>);

impl Host for TestHost {
    fn executor(&self) -> Result<&dyn Executor, PassError> {
        Ok(&Doubler)
    }

    fn samples(&self, _: Option<&str>, _: &Graph) -> Result<Arc<dyn Samples>, PassError> {
        Ok(self.0.clone())
    }
}

fn ranges(data: Vec<Vec<f32>>, settings: &str) -> [Option<(f32, f32)>; 2] {
    let width = data[0].len();
    let graph = parse(&format!(
        "graph @g {{
           %x = input : f32[n,{width}]
           %y = binary(%x, %x) {{ f = \"add\" }} : f32[n,{width}]
           output %y
         }}"
    ))
    .unwrap();
    let text = format!("version = 1\n[[pass]]\nuse = \"calibrate\"\n{settings}");
    let host = TestHost(Arc::new(Data(data)));
    let done = Pipeline::parse(&text).unwrap().run(&graph, &host, &mut Default::default()).unwrap();
    ["x", "y"].map(|n| done.graph.value_named(n).unwrap().range)
}

fn noise(n: usize, outlier: f32) -> Vec<Vec<f32>> {
    let mut state = 1_u64;
    let mut rows: Vec<Vec<f32>> = (0..n)
        .map(|_| {
            (0..100)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 40) as f32 / (1 << 23) as f32 - 1.0
                })
                .collect()
        })
        .collect();
    rows[n / 2][3] = outlier;
    rows
}

#[test]
fn min_max_covers_everything() {
    let rows = vec![vec![-1.0, 2.0], vec![0.0, 5.0], vec![-3.0, 1.0]];
    assert_eq!(ranges(rows, ""), [Some((-3.0, 5.0)), Some((-6.0, 10.0))]);
}

#[test]
fn percentile_leaves_an_outlier_out() {
    let [x, y] = ranges(noise(50, 1000.0), "observer = { percentile = 99.9 }");
    let (low, high) = x.unwrap();
    assert!((0.9..1.2).contains(&high), "{high}");
    assert!((-1.0..-0.9).contains(&low), "{low}");
    let (_, high) = y.unwrap();
    assert!((1.8..2.4).contains(&high), "{high}");
}

#[test]
fn entropy_gives_up_an_outlier() {
    let (low, high) = ranges(noise(500, 30.0), "observer = \"entropy\"")[0].unwrap();
    assert!(high < 29.0 && high > 0.9, "[{low}, {high}]");
}

#[test]
fn mse_is_not_worse_than_any_shrunk_range() {
    let rows: Vec<Vec<f32>> = noise(400, 0.0)
        .into_iter()
        .map(|row| row.into_iter().map(|x| (x + 0.2).powi(9)).collect())
        .collect();
    let error = |low: f32, high: f32| -> f64 {
        let step = (high - low) / 255.0;
        let round = |x: f32| ((x.clamp(low, high) - low) / step).round() * step + low;
        rows.iter().flatten().map(|x| f64::from(x - round(*x)).powi(2)).sum()
    };
    let whole = ranges(rows.clone(), "")[0].unwrap();
    let (low, high) = ranges(rows.clone(), "observer = \"mse\"")[0].unwrap();
    let found = error(low, high);
    assert!(found < 0.9 * error(whole.0, whole.1), "[{low}, {high}] of {whole:?}");
    for i in 1..20 {
        let shrink = i as f32 / 20.0;
        assert!(found <= 1.05 * error(whole.0 * shrink, whole.1 * shrink), "{shrink}");
        assert!(found <= 1.05 * error(whole.0, whole.1 * shrink), "{shrink}");
    }
}

#[test]
fn moving_averages_go_through_samples_in_order() {
    let rows: Vec<Vec<f32>> = (0..150).map(|i| vec![0.0, i as f32]).collect();
    let mut want = (0.0_f32, 0.0_f32);
    for i in 1..150 {
        want.1 += (i as f32 - want.1) * 0.25;
    }
    let [x, _] = ranges(rows, "observer = { moving-average = 0.25 }");
    assert_eq!(x, Some(want));
}

#[test]
fn one_thread_or_many_give_the_same() {
    for observer in ["\"min-max\"", "{ percentile = 99.0 }", "\"mse\"", "\"entropy\""] {
        let settings = format!("observer = {observer}");
        let runs: Vec<_> = [1, 5]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| ranges(noise(41, 7.0), &settings))
            })
            .collect();
        assert_eq!(runs[0], runs[1], "{observer}");
    }
}

#[test]
fn histograms_depend_on_the_numbers_alone() {
    let numbers = [1e-7_f32, -3.0, 0.25, 900.0, 0.0, -1e4, 12.5];
    let build = |order: &[usize]| {
        let mut h = Histogram::default();
        for &i in order {
            h.add(&[numbers[i]], numbers[i], numbers[i]);
        }
        h
    };
    let forward = build(&[0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(forward, build(&[5, 6, 4, 0, 1, 3, 2]));
    let mut merged = build(&[0, 2]);
    merged.merge(&build(&[5, 3]));
    merged.merge(&build(&[1, 4, 6]));
    assert_eq!(forward, merged);
    assert_eq!(forward.total(), 7);
    assert!(forward.counts().len() <= 4096);
}

#[test]
fn what_is_not_finite_is_an_error_with_its_value_and_sample() {
    let graph = parse(
        "graph @g {
           %x = input : f32[1,1]
           %y = binary(%x, %x) { f = \"add\" } : f32[1,1]
           output %y
         }",
    )
    .unwrap();
    let host = TestHost(Arc::new(Data(vec![vec![1.0], vec![f32::MAX]])));
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"calibrate\"").unwrap();
    let error = pipeline.run(&graph, &host, &mut Default::default()).unwrap_err();
    let text = error.source.to_string();
    assert!(text.contains("`y`") && text.contains("sample 1"), "{text}");
}

#[test]
fn values_that_have_a_range_may_keep_it() {
    let graph = parse(
        "graph @g {
           %x = input : f32[1,2] in [-5.0, 5.0]
           %y = binary(%x, %x) { f = \"add\" } : f32[1,2]
           output %y
         }",
    )
    .unwrap();
    let text = "version = 1\n[[pass]]\nuse = \"calibrate\"\nmissing = true";
    let pipeline = Pipeline::parse(text).unwrap();
    let host = TestHost(Arc::new(Data(vec![vec![1.0, -2.0]])));
    let done = pipeline.run(&graph, &host, &mut Default::default()).unwrap().graph;
    let range = |v: ValueId| done.value(v).range;
    assert_eq!(range(done.inputs()[0].value), Some((-5.0, 5.0)));
    assert_eq!(range(done.outputs()[0].value), Some((-4.0, 2.0)));
}
