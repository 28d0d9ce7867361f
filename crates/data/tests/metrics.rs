//! Metrics against values worked out by hand and against their definitions.

use paring_data::metrics::{Agreement, Auc, Confusion, Difference, TopK, argmax};
use proptest::prelude::*;

#[test]
fn argmax_takes_the_first_of_equals_and_no_nan() {
    assert_eq!(argmax(&[1.0, 3.0, 3.0]), Some(1));
    assert_eq!(argmax(&[f32::NAN, -1.0]), Some(1));
    assert_eq!(argmax(&[f32::NAN, f32::NAN]), Some(0));
    assert_eq!(argmax(&[]), None);
}

#[test]
fn top_k_counts_ranks() {
    let scores = [0.1, 0.5, 0.3, 0.3];
    let is_right = |k: usize, label: usize| {
        let mut top = TopK::new(k);
        top.push(&scores, label);
        top.right() == 1
    };
    assert!(is_right(1, 1) && !is_right(1, 2));
    // Classes 2 and 3 tie for the second place; the earlier one has it.
    assert!(is_right(2, 2) && !is_right(2, 3) && is_right(3, 3));
    assert!(!is_right(3, 0) && is_right(4, 0) && !is_right(9, 4));
    let mut top = TopK::new(1);
    assert_eq!(top.percent(), None);
    top.push(&[f32::NAN, 0.0], 0);
    top.push(&[f32::NAN, 0.0], 1);
    assert_eq!((top.percent(), top.count()), (Some(50.0), 2));
}

#[test]
fn confusion_gives_precision_and_recall() {
    let mut table = Confusion::new(3).unwrap();
    for (label, answer) in [(0, 0), (0, 0), (0, 1), (1, 1), (1, 0), (2, 1)] {
        table.push(label, answer).unwrap();
    }
    let rows: Vec<_> = table.rows().map(<[u64]>::to_vec).collect();
    assert_eq!(rows, [[2, 1, 0], [1, 1, 0], [0, 1, 0]]);
    assert_eq!(table.accuracy(), Some(50.0));
    assert_eq!(table.recall(1), Some(50.0));
    assert_eq!(table.precision(1), Some(100.0 / 3.0));
    assert_eq!((table.precision(2), table.recall(2)), (None, Some(0.0)));
    assert_eq!((table.precision(3), table.recall(3)), (None, None));
    let error = table.push(0, 3).unwrap_err().to_string();
    assert!(error.contains("answer 3 with 3 classes"), "{error}");
    assert!(table.merge(&Confusion::new(2).unwrap()).is_err());
    assert!(Confusion::new(usize::MAX).is_err());
    assert_eq!(Confusion::new(0).unwrap().accuracy(), None);
}

#[test]
fn auc_of_known_cases() {
    let auc = |cases: &[(f32, bool)]| {
        let mut auc = Auc::default();
        cases.iter().for_each(|&(score, positive)| auc.push(score, positive));
        auc.value()
    };
    assert_eq!(auc(&[]), None);
    assert_eq!(auc(&[(0.3, true)]), None);
    assert_eq!(auc(&[(0.1, false), (0.2, true)]), Some(1.0));
    assert_eq!(auc(&[(0.1, true), (0.2, false)]), Some(0.0));
    assert_eq!(auc(&[(0.5, true), (0.5, false), (0.5, false)]), Some(0.5));
    assert_eq!(auc(&[(0.0, true), (-0.0, false)]), Some(0.5));
    assert_eq!(auc(&[(f32::NAN, true), (0.0, false)]), Some(0.0));
    // Pairs won: 0.8 beats both, 0.4 beats 0.35 and not 0.6, 0.35 ties once: (2 + 1 + 0.5) / 6.
    let cases = [(0.8, true), (0.4, true), (0.35, true), (0.35, false), (0.6, false)];
    assert_eq!(auc(&cases), Some(3.5 / 6.0));
}

#[test]
fn errors_of_known_cases() {
    let mut d = Difference::default();
    assert_eq!((d.rmse(), d.snr_db(), d.psnr_db(1.0), d.max_abs()), (None, None, None, None));
    d.push(&[3.0, -4.0, 0.0, 5.0], &[3.0, -3.0, 0.0, 7.0]).unwrap();
    assert_eq!((d.count(), d.unequal(), d.max_abs(), d.mae()), (4, 2, Some(2.0), Some(0.75)));
    assert_eq!(d.rmse(), Some((5.0_f64 / 4.0).sqrt()));
    // Signal 9 + 16 + 25 = 50 over error 5 is a factor of 10.
    assert_eq!(d.snr_db(), Some(10.0));
    let psnr = d.psnr_db(255.0).unwrap();
    assert!((psnr - 10.0 * (255.0_f64 * 255.0 / 1.25).log10()).abs() < 1e-12);
    assert!(d.push(&[1.0], &[]).is_err());
}

#[test]
fn equal_values_have_no_error_and_wild_ones_an_infinite() {
    let mut same = Difference::default();
    same.push(&[1.0, f32::NAN, f32::INFINITY], &[1.0, f32::NAN, f32::INFINITY]).unwrap();
    assert_eq!((same.unequal(), same.rmse(), same.snr_db()), (0, Some(0.0), Some(f64::INFINITY)));
    for (reference, value) in
        [(1.0, f32::NAN), (f32::NAN, 1.0), (f32::INFINITY, 1.0), (f32::INFINITY, f32::NEG_INFINITY)]
    {
        let mut wild = Difference::default();
        wild.push(&[reference, 2.0], &[value, 2.0]).unwrap();
        assert_eq!((wild.max_abs(), wild.rmse()), (Some(f64::INFINITY), Some(f64::INFINITY)));
        assert_eq!(wild.snr_db(), Some(f64::NEG_INFINITY));
    }
}

#[test]
fn agreement_compares_the_best_class() {
    let mut agreement = Agreement::default();
    agreement.push(&[0.1, 0.9], &[0.4, 0.6]);
    agreement.push(&[0.1, 0.9], &[0.6, 0.4]);
    let mut more = Agreement::default();
    more.push(&[1.0, 0.0], &[0.6, 0.4]);
    agreement.merge(&more);
    assert_eq!(agreement.percent(), Some(100.0 * 2.0 / 3.0));
}

proptest! {
    /// The definition: every positive against every negative.
    #[test]
    fn auc_is_the_share_of_pairs(cases in prop::collection::vec((0_u8..6, any::<bool>()), 0..40)) {
        let mut auc = Auc::default();
        cases.iter().for_each(|&(score, positive)| auc.push(f32::from(score), positive));
        let (mut won, mut pairs) = (0.0, 0.0);
        for (a, _) in cases.iter().filter(|c| c.1) {
            for (b, _) in cases.iter().filter(|c| !c.1) {
                pairs += 1.0;
                won += if a > b { 1.0 } else if a == b { 0.5 } else { 0.0 };
            }
        }
        prop_assert_eq!(auc.value(), (pairs > 0.0).then(|| won / pairs));
    }

    /// The definition: the label stands among the first k of a stable descending sort.
    #[test]
    fn top_k_is_a_sort(
        scores in prop::collection::vec(0_u8..5, 1..12),
        label in 0_usize..12,
        k in 0_usize..12,
    ) {
        let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut top = TopK::new(k);
        top.push(&scores, label);
        prop_assert_eq!(top.right() == 1, order.iter().take(k).any(|&class| class == label));
    }

    #[test]
    fn merging_is_pushing(
        values in prop::collection::vec((-9_i8..9, -9_i8..9), 0..30),
        cut in 0_usize..30,
    ) {
        let cut = cut.min(values.len());
        let fill = |part: &[(i8, i8)]| {
            let (mut d, mut auc, mut top) = (Difference::default(), Auc::default(), TopK::new(1));
            let mut table = Confusion::new(18).unwrap();
            for &(a, b) in part {
                let (x, y) = (f32::from(a), f32::from(b));
                d.push(&[x], &[y]).unwrap();
                auc.push(x, b > 0);
                top.push(&[x, y], 0);
                table.push((a + 9) as usize, (b + 9) as usize).unwrap();
            }
            (d, auc, top, table)
        };
        let whole = fill(&values);
        let (mut one, other) = (fill(&values[..cut]), fill(&values[cut..]));
        one.0.merge(&other.0);
        one.1.merge(&other.1);
        one.2.merge(&other.2);
        one.3.merge(&other.3).unwrap();
        // Sums of small integers are exact in any order.
        prop_assert_eq!(one.0, whole.0);
        prop_assert_eq!(one.1.value(), whole.1.value());
        prop_assert_eq!(one.2, whole.2);
        prop_assert_eq!(one.3, whole.3);
    }
}
