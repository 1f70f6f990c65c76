use super::*;

fn point(counts: &[u64], bounds: &[f64]) -> HistogramDataPoint {
    HistogramDataPoint {
        count: counts.iter().sum(),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

#[test]
fn only_sound_histograms_are_taken() {
    assert!(buckets(&point(&[1, 2], &[1.0])).is_ok());
    let bare = HistogramDataPoint { count: 3, ..HistogramDataPoint::default() };
    let only = Value::Histogram { bounds: Vec::new(), counts: vec![3], sum: None };
    assert_eq!(buckets(&bare), Ok(only));
    let infinite = buckets(&point(&[1, 2, 0], &[1.0, f64::INFINITY]));
    let plain = Value::Histogram { bounds: vec![1.0], counts: vec![1, 2], sum: None };
    assert_eq!(infinite, Ok(plain));
    for wrong in [
        point(&[1], &[1.0]),
        point(&[1, 2, 3], &[2.0, 1.0]),
        point(&[1, 2, 3], &[1.0, 1.0]),
        point(&[1, 2], &[f64::NAN]),
        HistogramDataPoint { count: 9, ..point(&[1, 2], &[1.0]) },
        HistogramDataPoint { count: 1, ..point(&[u64::MAX - 1, 0], &[1.0]) },
        point(&[0; 162], &(0_u8..161).map(f64::from).collect::<Vec<_>>()),
    ] {
        assert_eq!(buckets(&wrong), Err(Dropped::Buckets), "{wrong:?}");
    }
    let mut wrong = point(&[1, 2], &[1.0]);
    wrong.bucket_counts = vec![u64::MAX, 1];
    assert_eq!(buckets(&wrong), Err(Dropped::Buckets));
    let wrong = HistogramDataPoint { sum: Some(f64::NAN), ..point(&[1], &[]) };
    assert_eq!(buckets(&wrong), Err(Dropped::Value));
}

#[test]
fn text_is_cut_between_characters() {
    assert_eq!(cut("größe", 3), "gr");
    assert_eq!(cut("größe", 4), "grö");
    assert_eq!(cut("abc", 10), "abc");
}
